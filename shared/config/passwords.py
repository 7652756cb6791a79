"""No password in a URL: settings end up in config.yaml, in checkpoints, in logs and at W&B."""

import re

from shared.errors import UserError

PASSWORD = re.compile(r"://[^/?#\s]*:[^/?#\s]+@")
"""As in sftp://me:secret@host/folder, also within a list of URLs or after another protocol (simplecache::sftp://)."""


def refuse_password(text: str, where: str) -> None:
    """Raise UserError, which does not repeat the text, if it holds a URL with a password."""
    if PASSWORD.search(text):
        what = "a password in a URL ends up in config.yaml and in logs"
        raise UserError(what, where, "use a key, or set FSSPEC_SFTP_PASSWORD and the like")
