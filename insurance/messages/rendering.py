"""A mail in words: its template with its data, and the letter around it."""

from dataclasses import dataclass
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage

from flask import current_app

from ..accounts import services as accounts
from ..core.db import db
from ..core.outbox import Mail
from ..documents import services as documents
from ..documents.models import Document


@dataclass(frozen=True)
class Rendered:
    """What a mail says."""

    subject: str
    text: str
    html: str


def render(mail: Mail, url: str | None = None) -> Rendered:
    """What a mail says; `url` stands in for the link that only its recipient may see."""
    config = current_app.config
    data = dict(mail.data)
    if "link_id" in data:
        data["url"] = url or accounts.link_url(data["link_id"])
    data["company"] = {key: config[f"COMPANY_{key.upper()}"] for key in ("name", "phone", "address")}
    data["public_url"] = config["PUBLIC_URL"]
    templates = current_app.jinja_env
    first_line, _, body = templates.get_template(f"email/{mail.template}.txt").render(data).partition("\n")
    letter = {**data, "subject": " ".join(first_line.removeprefix("Subject:").split()), "body": body.strip()}
    return Rendered(
        letter["subject"],
        templates.get_template("email/_layout.txt").render(letter),
        templates.get_template("email/_layout.html").render(letter),
    )


def message(mail: Mail) -> EmailMessage:
    """The mail as it is sent, with its document. Sent again, it has the same Message-ID and date."""
    rendered = render(mail)
    message = EmailMessage(policy=policy.SMTP)
    message["Message-ID"] = mail.message_id
    message["Date"] = mail.created_at
    message["From"] = current_app.config["MAIL_DEFAULT_SENDER"]
    message["To"] = Address(addr_spec=mail.recipient)  # refuses all but one address
    message["Subject"] = rendered.subject
    message.set_content(rendered.text)
    message.add_alternative(rendered.html, subtype="html")
    if mail.document_id:
        document = db.session.get_one(Document, mail.document_id)
        message.add_attachment(
            documents.pdf(document), maintype="application", subtype="pdf", filename=documents.file_name(document)
        )
    return message
