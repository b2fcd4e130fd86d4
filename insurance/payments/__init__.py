"""Money that moved: receipts and their allocation, refunds, disbursements carried out."""
