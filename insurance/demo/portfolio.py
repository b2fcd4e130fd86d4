"""The demo: people of a small insurer and three years of their business, every record made by a service."""

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO
from string import ascii_uppercase

from flask import current_app
from PIL import Image, ImageDraw
from rich.progress import track
from sqlalchemy import select, update

from ..accounts import passwords
from ..accounts import queries as accounts
from ..accounts import services as account_services
from ..accounts.models import User
from ..billing import queries as billing
from ..billing.domain import PaymentPlan
from ..billing.services import invoices as billing_services
from ..claims import services as claims
from ..core import clock
from ..core.dates import add_months
from ..core.db import db, lock, transaction
from ..core.errors import RuleBroken
from ..core.money import Money
from ..core.outbox import Mail, MailStatus
from ..core.permissions import SYSTEM, Actor, Role
from ..customers import services as customers
from ..customers.models import Customer
from ..documents import services as documents
from ..feedback import services as feedback
from ..feedback.domain import FeedbackKind
from ..jobs import services as jobs
from ..payments import services as payments
from ..payments.domain import PaymentMethod
from ..policies import services as policies
from ..policies.models import Policy
from ..products import services as products
from ..web.uploads import check_upload
from . import multiply

STAFF = [
    ("admin@example.com", "Alex Morgan", Role.ADMIN, 50_000),
    ("agent@example.com", "Sam Ortiz", Role.AGENT, 5_000),
    ("agent2@example.com", "Dana Kim", Role.AGENT, 10_000),
]
SIGN_INS = [*(email for email, *_ in STAFF), "customer@example.com", "customer2@example.com"]
FIRST = [
    "Maria",
    "Luis",
    "Priya",
    "Tom",
    "Ana",
    "Joe",
    "Grace",
    "Eli",
    "Noor",
    "Chidi",
    "Yuki",
    "Lena",
    "Omar",
    "Zoë",
    "Piotr",
    "Ines",
    "Ravi",
    "Mei",
    "Björn",
    "Leila",
]
LAST = [
    "Lopez",
    "Alvarez",
    "Raman",
    "Becker",
    "Petrov",
    "Tanaka",
    "Obi",
    "Novak",
    "Haddad",
    "Eze",
    "Mori",
    "Fischer",
    "Said",
    "Dubois",
    "Kowalski",
    "Silva",
]
MADE_BY_SERVICES = 200
"""Up to so many policies each is made by the services; of more, copies are made."""
NAMED_POLICIES = 3
STREETS = ["Elm Street", "Harbor Road", "Mill Lane", "Station Avenue", "Orchard Way", "Bridge Street"]
TYPES = ["comprehensive", "comprehensive", "basic", "third party"]
STORIES = {
    "collision": "Rear-ended at the traffic lights on Harbor Road. The bumper and the boot lid are dented.",
    "water": "A pipe in the bathroom burst overnight. Floor and ceiling below are soaked.",
    "glass": "A stone from a lorry cracked the windscreen.",
    "theft": "The shed was broken into; two bicycles and tools are gone.",
    "weather": "The storm took tiles off the roof, and rain came in.",
}


def load(*, policies: int, seed: int, if_empty: bool) -> bool:
    """Load the portfolio; False if `if_empty` was asked for and there are users already."""
    if db.session.scalar(select(User.id).limit(1)):
        if if_empty:
            return False
        raise RuleBroken("The database has users already. Use an empty one, or --if-empty.")
    products.publish_shipped()
    _Loader(seed).load(policies)
    return True


def password() -> str:
    """The password of the demo sign-ins: DEMO_PASSWORD, else one made once and kept in DATA_DIR."""
    if current_app.config["DEMO_PASSWORD"]:
        return current_app.config["DEMO_PASSWORD"]
    path = current_app.config["DATA_DIR"] / "demo_password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text("-".join(secrets.token_hex(2) for _ in range(4)))
    return path.read_text()


def sign_ins() -> str:
    """Who can sign in, for the terminal; nothing if the demo is not loaded."""
    if accounts.find_user(SIGN_INS[0]) is None:
        return ""
    return "\n".join(["Demo sign-ins, all with the password " + password(), *(f"  {email}" for email in SIGN_INS)])


def _shares(count: int) -> tuple[int, int, int]:
    """How often to copy how many policies, and how many are left to be made by themselves."""
    copies = min(range(count // MADE_BY_SERVICES, count // (MADE_BY_SERVICES // 2) + 1), key=lambda n: count % (n + 1))
    return copies, count // (copies + 1), count % (copies + 1)


@dataclass(frozen=True)
class Story:
    """How a policy came about: when it was quoted and bound, when cover starts, and what was done about it."""

    status: str
    quoted_on: date
    start_on: date
    plan: PaymentPlan = PaymentPlan.ANNUAL
    pays_late: bool = False


class _Loader:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 (a demo, not a secret)
        self.today = clock.today()
        self.password_hash = passwords.hash_password(password())
        self.currency = "USD"
        self.customers = 0

    def load(self, count: int) -> None:
        """Staff first, then the customers with their policies in the order of time."""
        began = add_months(self.today, -36)
        with clock.at(began):
            self.actors = {email: self._user(email, name, role, limit) for email, name, role, limit in STAFF}
        agents = [self.actors["agent@example.com"], self.actors["agent2@example.com"]]
        self._named_customers(agents)
        self._sign_in_weekly()
        with clock.at(self.today):
            self._feedback()
        if count <= MADE_BY_SERVICES:
            self._live(count - NAMED_POLICIES, agents)
            return
        copies, made, rest = _shares(count - NAMED_POLICIES)
        self._live(rest, agents)
        since = multiply.mark()
        self._live(made, agents)
        more = [self._agent(number) for number in range(count // multiply.CUSTOMERS_PER_AGENT)]
        names = [f"{first} {middle}. {last}" for first in FIRST for middle in ascii_uppercase for last in LAST]
        multiply.multiply(since, copies, more or [agent.id or 0 for agent in agents], names)
        documents.archive_newest()

    def _live(self, count: int, agents: list[Actor]) -> None:
        """So many customers with a policy each, in the order of time, up to tonight's run."""
        for number, story in enumerate(track(self._stories(count), "Loading the demo")):
            agent = agents[number % 2]
            with transaction():  # one commit for each story instead of one for each act
                with clock.at(story.quoted_on):
                    customer = self._customer(agent)
                    policy = self._quote(customer, agent, story.start_on)
                self._tell(policy, story, agent)
        with clock.at(self.today):
            jobs.run_nightly(self.today, lambda _line: None)
            self._hold_mails()

    def _agent(self, number: int) -> int:
        first, last = FIRST[number % len(FIRST)], LAST[number % len(LAST)]
        return self._user(f"agent{number + 3}@example.com", f"{first} {last}", Role.AGENT, 5_000).id or 0

    def _user(self, email: str, name: str, role: Role, limit: int) -> Actor:
        account_services.create_user(
            email=email,
            name=name,
            role=role,
            authority_minor=Money.rounded(limit, self.currency).minor,
            password_hash=self.password_hash,
        )
        user = accounts.find_user(email)
        assert user is not None
        return user.actor()

    def _stories(self, count: int) -> list[Story]:
        """So many policies of each status, spread over three years."""
        shares = [
            ("quoted", 10), ("withdrawn", 5), ("quote_expired", 7), ("pending", 8), ("active", 50), ("expired", 20),
        ]  # fmt: skip
        stories = []
        for number in range(count):
            status = self.random.choices([name for name, _ in shares], [share for _, share in shares])[0]
            if number < len(shares):
                status = shares[number][0]  # every status at least once
            stories.append(self._story(status))
        return sorted(stories, key=lambda story: story.quoted_on)

    def _story(self, status: str) -> Story:
        days = self.random.randint
        plan = self.random.choice([PaymentPlan.ANNUAL, PaymentPlan.ANNUAL, PaymentPlan.MONTHLY])
        late = self.random.random() < 0.15
        if status in ("quoted", "withdrawn"):
            quoted = self.today - timedelta(days=days(0, 25))
            return Story(status, quoted, self.today + timedelta(days=days(1, 40)))
        if status == "quote_expired":
            quoted = self.today - timedelta(days=days(40, 700))
            return Story(status, quoted, quoted + timedelta(days=14))
        if status == "pending":
            return Story(
                status, self.today - timedelta(days=days(1, 20)), self.today + timedelta(days=days(2, 45)), plan
            )
        start = self.today - timedelta(days=days(5, 350) if status == "active" else days(380, 1050))
        return Story(status, start - timedelta(days=days(0, 12)), start, plan, late)

    def _customer(self, agent: Actor) -> Customer:
        self.customers += 1
        name = f"{self.random.choice(FIRST)} {self.random.choice(LAST)}"
        return customers.create(
            name=name,
            email=f"demo{self.customers}@example.com",
            phone=f"555-01{self.random.randint(0, 99):02d}",
            address=f"{self.random.randint(1, 240)} {self.random.choice(STREETS)}\nExample City",
            birth_on=self.today - timedelta(days=self.random.randint(19 * 366, 75 * 365)),
            actor=agent,
        )

    def _quote(self, customer: Customer, agent: Actor, start_on: date, coverage: int | None = None) -> Policy:
        return policies.quote(
            customer_id=customer.id,
            policy_type=self.random.choice(TYPES),
            coverage=Money.rounded(coverage or self.random.randrange(20, 200) * 1000, self.currency),
            start_on=start_on,
            actor=agent,
        )

    def _tell(self, policy: Policy, story: Story, agent: Actor) -> None:
        """Live a policy's story: bind it, pay what is due, and perhaps claim."""
        if story.status == "withdrawn":
            with clock.at(min(story.quoted_on + timedelta(days=2), self.today)):
                policies.withdraw(policy_id=policy.id, actor=agent)
        if story.status in ("quoted", "withdrawn", "quote_expired"):
            return
        with clock.at(story.quoted_on):
            policy = policies.bind(policy_id=policy.id, plan=story.plan, actor=agent)
        self._pay_as_due(policy, agent, story.pays_late)
        if story.status != "pending" and self.random.random() < 0.35:
            self._claim(policy, agent)

    def _pay_as_due(self, policy: Policy, agent: Actor, late: bool) -> None:
        """Let the calendar run over the account: invoices are issued as they bill, and paid as they fall due."""
        assert policy.account_id is not None
        method = self.random.choice([PaymentMethod.BANK_TRANSFER, PaymentMethod.BANK_TRANSFER, PaymentMethod.CHEQUE])
        for bills_on, due_on in self._bill_days(policy.account_id):
            if bills_on > self.today:
                return
            with clock.at(bills_on):
                account = billing.get_account(policy.account_id, SYSTEM)
                billing_services.issue_due(account, on=bills_on, actor=SYSTEM)
            paid_on = due_on - timedelta(days=self.random.randint(0, 6))
            if late and due_on > self.today - timedelta(days=60):
                return
            if paid_on <= self.today:
                with clock.at(max(paid_on, bills_on)):
                    self._pay_oldest(policy.account_id, method, agent)

    def _bill_days(self, account_id: int) -> list[tuple[date, date]]:
        return sorted({(item.bills_on, item.due_on) for item in billing.items_of(account_id)})

    def _pay_oldest(self, account_id: int, method: PaymentMethod, agent: Actor) -> None:
        for invoice in billing.open_invoices(account_id)[:1]:
            payments.record(
                account_id=account_id,
                invoice_id=invoice.id,
                amount=invoice.open,
                method=method,
                reference=f"Ref {self.random.randint(10000, 99999)}",
                actor=agent,
            )

    def _claim(self, policy: Policy, agent: Actor) -> None:
        """A loss within the term, in one of the stages that a claim can be in."""
        last = min(self.today, policy.end_on - timedelta(days=1))
        loss_on = policy.start_on + timedelta(days=self.random.randint(0, max((last - policy.start_on).days, 0)))
        cause = self.random.choice(list(STORIES))
        amount = Money.rounded(self.random.randint(2, 45) * 100, self.currency)
        filed_on = min(loss_on + timedelta(days=self.random.randint(0, 5)), self.today)
        with clock.at(filed_on):
            claim_id = self._file(policy, agent, loss_on, cause, amount)
        acts: list[Callable[[], object]] = [
            lambda: claims.review(claim_id=claim_id, actor=agent),
            self.random.choice(
                [
                    lambda: claims.approve(
                        claim_id=claim_id, amount=amount, notes="The loss is covered in full.", actor=agent
                    ),
                    lambda: claims.approve(
                        claim_id=claim_id, amount=amount.times(1).share(4, 5), notes="Wear was deducted.", actor=agent
                    ),
                    lambda: claims.reject(
                        claim_id=claim_id, notes="The damage was there before cover began.", actor=agent
                    ),
                ]
            ),
        ]
        for step, act in enumerate(acts[: self.random.randint(0, 2)]):
            day = filed_on + timedelta(days=2 * step + 1)
            if day <= self.today:
                with clock.at(day):
                    act()

    def _file(self, policy: Policy, actor: Actor, loss_on: date, cause: str, amount: Money) -> int:
        return claims.file(
            policy_id=policy.id,
            loss_on=loss_on,
            cause=cause,
            description=STORIES[cause],
            claimed=amount,
            payee_name=db.session.get_one(Customer, policy.customer_id).name,
            actor=actor,
        ).id

    def _named_customers(self, agents: list[Actor]) -> None:
        """The two who sign in: one with an open invoice, a paid one and a claim under review; one with a quote too."""
        agent = agents[0]
        start = self.today - timedelta(days=45)
        with clock.at(start):
            maria, maria_actor = self._signing_in("customer@example.com", "Maria Lopez", date(1986, 3, 14), agent)
            policy = policies.quote(
                customer_id=maria.id,
                policy_type="comprehensive",
                coverage=Money.rounded(100_000, self.currency),
                start_on=start,
                actor=agent,
            )
            policy = policies.bind(policy_id=policy.id, plan=PaymentPlan.MONTHLY, actor=agent)
            assert policy.account_id is not None
            self._pay_oldest(policy.account_id, PaymentMethod.BANK_TRANSFER, agent)
        jobs_day = self.today - timedelta(days=28)
        with clock.at(jobs_day):
            jobs.run_nightly(jobs_day, lambda _line: None)
        with clock.at(self.today - timedelta(days=6)):
            amount = Money.rounded(1_850, self.currency)
            claim_id = self._file(policy, maria_actor, self.today - timedelta(days=8), "collision", amount)
            claims.attach(claim_id=claim_id, files=[check_upload(_photo(), "rear-bumper.png")], actor=maria_actor)
        with clock.at(self.today - timedelta(days=5)):
            claims.review(claim_id=claim_id, actor=agent)
        with clock.at(add_months(self.today, -7)):
            tom, _ = self._signing_in("customer2@example.com", "Tom Becker", date(1979, 8, 2), agents[1])
            policy = self._quote(tom, agents[1], self.today - timedelta(days=200), 60_000)
            policy = policies.bind(policy_id=policy.id, actor=agents[1])
        self._pay_as_due(policy, agents[1], late=False)
        with clock.at(self.today - timedelta(days=3)):
            self._quote(tom, agents[1], self.today + timedelta(days=20), 25_000)

    def _signing_in(self, email: str, name: str, birth_on: date, agent: Actor) -> tuple[Customer, Actor]:
        actor = self.actors[email] = self._user(email, name, Role.CUSTOMER, 0)
        customer = customers.create(
            name=name,
            email=email,
            phone="555-0142",
            address="12 Elm Street\nExample City",
            birth_on=birth_on,
            actor=agent,
        )
        with transaction():
            lock(Customer, customer.id).user_id = actor.id
        return customer, actor

    def _sign_in_weekly(self) -> None:
        """Staff are at work every week; customers look in every other week."""
        for weeks in range(1, 12):
            with clock.at(self.today - timedelta(days=7 * weeks)):
                for actor in self.actors.values():
                    if actor.id and (actor.is_staff or weeks % 2):
                        account_services.open_session(user_id=actor.id, address="127.0.0.1", browser="Demo")

    def _feedback(self) -> None:
        """What people said about the site: some of it new, some answered."""
        maria, agent, admin = (self.actors[f"{name}@example.com"] for name in ("customer", "agent", "admin"))
        sent = [
            feedback.send(kind=kind, text=text, page=page, name=actor.name, email=actor.email, actor=actor)
            for kind, text, page, actor in (
                (FeedbackKind.QUESTION, "Can I pay by direct debit?", "/portal/payments", maria),
                (FeedbackKind.PRAISE, "The worksheet saves me a call with every quote.", "/policies/new", agent),
                (FeedbackKind.IDEA, "Show the deductible beside the limit, please.", "/portal/policies", maria),
                (FeedbackKind.PROBLEM, "The telephone number is hard to find.", "/help", feedback.VISITOR),
            )
        ]
        text = "Not yet. You can pay by card here, or by bank transfer."
        feedback.answer(feedback_id=sent[0].id, answer=text, actor=admin)
        feedback.close(feedback_id=sent[1].id, actor=admin)

    def _hold_mails(self) -> None:
        """Three years of mails to invented people are not sent."""
        with transaction() as session:
            session.execute(
                update(Mail)
                .where(Mail.status == MailStatus.DUE)
                .values(status=MailStatus.KEPT, last_error="not sent: made for the demo")
            )


def _photo() -> bytes:
    """A drawing that stands for a photo of a dented bumper."""
    image = Image.new("RGB", (640, 420), "#8aa4c2")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 300, 640, 420), fill="#4a5560")
    draw.rounded_rectangle((90, 130, 550, 310), 40, fill="#b3261e")
    draw.rounded_rectangle((70, 270, 570, 330), 20, fill="#333")
    draw.polygon([(400, 275), (440, 300), (470, 280), (450, 325)], fill="#777")
    data = BytesIO()
    image.save(data, "PNG")
    return data.getvalue()
