"""Text from a loop under test, made fit for a file: whatever it is, and not too much of it."""

MESSAGE_LIMIT = 8 * 1024
EVIDENCE_LIMIT = 64 * 1024
"""Characters kept of a message, and of evidence and reproducer each; the middle of longer ones is left out."""


def bounded(value: object, limit: int) -> str:
    """Return any object as text that every JSON reader takes: no lone surrogates, the middle left out beyond a limit.

    Never raises, whatever ``str()`` of the object does.
    """
    try:
        plain = str(value)
    except Exception as error:
        plain = f"<{type(value).__name__} whose str() raises {type(error).__name__}>"
    if len(plain) > limit:
        half = limit // 2
        plain = f"{plain[:half]}\n[... {len(plain) - 2 * half} characters left out ...]\n{plain[-half:]}"
    return plain.encode("utf-8", "backslashreplace").decode()
