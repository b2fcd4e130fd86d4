"""Filing, reviewing and deciding claims, and paying them, each act as one transaction."""

from .decision import answer, appeal, approve, ask, close, note, reject, reopen, review, withdraw
from .notice import (
    FACTS,
    TAKES_FILES,
    attach,
    check_notice,
    choose_policy,
    delete,
    detach,
    edit,
    file,
    save,
    start,
    start_with_facts,
    submit,
)
from .payout import approve_payout, replace_payout, return_payout, send_payout, settle

__all__ = [
    "FACTS", "TAKES_FILES", "answer", "appeal", "approve", "approve_payout", "ask", "attach", "check_notice",
    "choose_policy", "close", "delete", "detach", "edit", "file", "note", "reject", "reopen", "replace_payout",
    "return_payout", "review", "save", "send_payout", "settle", "start", "start_with_facts", "submit", "withdraw",
]  # fmt: skip
