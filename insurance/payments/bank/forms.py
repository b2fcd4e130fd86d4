"""What staff enter about refunds, batches and statements."""

from ...web.forms import Form, KeyField, MoneyField, TextField


class RefundForm(Form):
    """How much credit is paid back, to whom and where."""

    amount = MoneyField("Amount to pay back")
    payee_name = TextField("Payee", hint="As the bank knows them", max=70)
    account_number = TextField("IBAN or account number", max=50)
    bic = TextField("BIC", hint="Needed for most accounts without an IBAN", max=11, optional=True)
    key = KeyField()
