"""What admins send from pages of their own."""

from ..web.forms import EmailField, Form


class ResendForm(Form):
    """Where a mail goes when it is sent again."""

    recipient = EmailField("Send to")
