"""Who may do what: one table of permissions by role, asked by views and services alike."""

from dataclasses import dataclass
from enum import StrEnum

from .errors import NotAllowed


class Role(StrEnum):
    """The three roles of people. `SYSTEM` acts for jobs and commands."""

    ADMIN = "admin"
    AGENT = "agent"
    CUSTOMER = "customer"
    SYSTEM = "system"


CUSTOMER = {
    "portal:use",
    "account:use",
    "customer:read",
    "customer:edit_contact",
    "policy:read",
    "policy:rate",
    "policy:quote_own",
    "policy:bind_own",
    "invoice:read",
    "payment:read",
    "payment:pay_by_card",
    "credit:use",
    "autopay:switch",
    "mandate:give",
    "mandate:revoke",
    "document:read",
    "claim:read",
    "claim:draft",
    "claim:submit",
    "claim:answer",
    "claim:withdraw",
    "claim:attach",
    "privacy:export_own",
    "privacy:ask_erasure",
}
AGENT = {
    "agent:use",
    "account:use",
    "search:use",
    "customer:read",
    "customer:create",
    "customer:edit",
    "customer:invite",
    "customer:deactivate",
    "customer:delete",
    "policy:read",
    "policy:rate",
    "policy:quote",
    "policy:edit",
    "policy:bind",
    "policy:withdraw",
    "policy:change_plan",
    "policy:delete",
    "policy:note",
    "invoice:read",
    "invoice:edit",
    "notice:post",
    "notice:hold",
    "notice:remind",
    "payment:read",
    "payment:record",
    "payment:edit",
    "payment:allocate",
    "payment:cancel",
    "payment:return",
    "mandate:give",
    "mandate:revoke",
    "mandate:edit",
    "credit:use",
    "refund:request",
    "document:read",
    "claim:read",
    "claim:draft",
    "claim:submit",
    "claim:attach",
    "claim:review",
    "claim:edit",
    "claim:ask",
    "claim:answer",
    "claim:approve",
    "claim:reject",
    "claim:withdraw",
    "claim:close",
    "claim:reopen",
    "claim:appeal",
    "claim:note",
    "claim:delete",
    "payment:delete",
}
ADMIN = (AGENT - {"agent:use"}) | {
    "admin:use",
    "user:read",
    "user:create",
    "user:edit",
    "customer:transfer",
    "outbox:read",
    "outbox:resend",
    "audit:read",
    "ledger:read",
    "ledger:close",
    "job:read",
    "product:read",
    "setting:edit",
    "payment:charge_back",
    "payment:clear",
    "suspense:record",
    "suspense:match",
    "suspense:return",
    "gateway:read",
    "invoice:void",
    "invoice:write_off",
    "feedback:read",
    "feedback:answer",
    "feedback:close",
    "feedback:reopen",
    "usage:read",
    "privacy:read",
    "privacy:export",
    "privacy:request_erasure",
    "privacy:erase",
    "privacy:review_access",
    "claim:approve_payout",
    "claim:settle",
    "disbursement:read",
    "disbursement:approve",
    "disbursement:cancel",
    "disbursement:send",
    "disbursement:settle",
    "disbursement:return",
    "disbursement:replace",
    "bank:use",
    "bank:make_batch",
    "bank:send_batch",
    "bank:import",
    "bank:confirm",
}
PERMISSIONS: dict[Role, set[str]] = {Role.CUSTOMER: CUSTOMER, Role.AGENT: AGENT, Role.ADMIN: ADMIN}
EVERY_PERMISSION = CUSTOMER | AGENT | ADMIN


@dataclass(frozen=True)
class Actor:
    """The person, or the system itself, on whose behalf something is done."""

    id: int | None
    role: Role
    name: str
    email: str = ""
    wide_sight: bool = False
    authority_minor: int = 0

    @property
    def is_staff(self) -> bool:
        """Works for the insurer or the managing agent."""
        return self.role is not Role.CUSTOMER

    def may(self, permission: str) -> bool:
        """Whether the actor's role has the permission; an unknown permission is a bug."""
        if permission not in EVERY_PERMISSION:
            raise LookupError(f"unknown permission {permission}")
        return self.role is Role.SYSTEM or permission in PERMISSIONS[self.role]


SYSTEM = Actor(id=None, role=Role.SYSTEM, name="System", wide_sight=True)


def check_may(actor: Actor, permission: str) -> None:
    """Refuse an act that the actor's role lacks."""
    if not actor.may(permission):
        raise NotAllowed("Your role does not include this. Ask an administrator if you need it.")
