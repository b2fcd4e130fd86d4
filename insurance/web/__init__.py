"""What pages share: the guard, forms, lists, filters, uploads."""
