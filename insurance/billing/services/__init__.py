"""What is owed, both ways: invoices and disbursements, each act as one transaction."""
