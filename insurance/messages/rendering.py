"""A mail in words: its text, as it comes or as admins have changed it, with its data, and the letter around it."""

from dataclasses import dataclass
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

from flask import current_app

from ..accounts import services as accounts
from ..core import settings
from ..core.db import db
from ..core.outbox import Mail
from ..documents import services as documents
from ..documents.models import Document
from .domain import SAMPLES, fill


@dataclass(frozen=True)
class Rendered:
    """What a mail says."""

    subject: str
    text: str
    html: str


def render(mail: Mail, url: str | None = None) -> Rendered:
    """What a mail says; `url` stands in for the link that only its recipient may see."""
    data = dict(mail.data)
    if "link_id" in data:
        data["url"] = url or accounts.link_url(data["link_id"])
    company, site = settings.company(), current_app.config["PUBLIC_URL"]
    if words := settings.get(f"mail {mail.template}"):
        values = {**data, "company": company["name"], "company_phone": company["phone"], "site": site}
        return _letter(fill(words["subject"], values), fill(words["body"], values))
    return _letter(*_standard(mail.template, {**data, "company": company, "public_url": site}))


def sample(template: str, *, subject: str, body: str) -> Rendered:
    """What a mail of these words would say, to nobody."""
    company = settings.company()
    values = SAMPLES[template] | {"company": company["name"], "company_phone": company["phone"]}
    return _letter(fill(subject, values), fill(body, values))


def standard(template: str) -> dict[str, str]:
    """The words that a mail comes with, its placeholders not filled in."""
    names: dict[str, Any] = {name: f"{{{name}}}" for name in SAMPLES[template]}
    company = {"name": names["company"], "phone": names["company_phone"]}
    subject, body = _standard(template, {**names, "company": company, "public_url": names["site"]})
    return {"subject": subject, "body": body}


def _standard(template: str, data: dict[str, Any]) -> tuple[str, str]:
    first_line, _, body = current_app.jinja_env.get_template(f"email/{template}.txt").render(data).partition("\n")
    return first_line.removeprefix("Subject:").strip(), body.strip()


def _letter(subject: str, body: str) -> Rendered:
    """The words with the letter around them. A subject is one line, whatever is filled in."""
    data = {
        "subject": " ".join(subject.split()),
        "body": body.strip(),
        "company": settings.company(),
        "public_url": current_app.config["PUBLIC_URL"],
    }
    templates = current_app.jinja_env
    return Rendered(
        data["subject"],
        templates.get_template("email/_layout.txt").render(data),
        templates.get_template("email/_layout.html").render(data),
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
