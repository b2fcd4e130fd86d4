"""What is owed, both ways: instalments, invoices, allocation, disbursements."""
