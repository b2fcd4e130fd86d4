"""The books as people read them: what each posting is about, statements of account, and the books as a file."""
