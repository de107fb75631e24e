"""What a local run must remember for the next one: made once, kept in RUN_DIR/secrets.json for our eyes only."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


def write_private(file: Path, text: str) -> None:
    """Write a whole file that only its owner can read; whoever reads it meanwhile sees the old one or the new one."""
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
    fresh.replace(file)


@dataclass(slots=True)
class RunSecrets:
    """api_key: empty until one was made. webhook_secret: in the `whsec_…` form of Standard Webhooks."""

    file: Path
    console_password: str
    webhook_secret: str
    api_key: str = ""

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The directory's secrets, made when there are none yet."""
        file = directory / "secrets.json"
        if file.exists():
            return cls(file=file, **json.loads(file.read_text(encoding="utf-8")))
        made = cls(
            file=file,
            console_password=secrets.token_urlsafe(9),
            webhook_secret="whsec_" + base64.b64encode(secrets.token_bytes(24)).decode("ascii"),
        )
        made.save()
        return made

    def save(self) -> None:
        """Keep the present values for the next run."""
        kept = {key: value for key, value in asdict(self).items() if key != "file"}
        write_private(self.file, json.dumps(kept, indent=2) + "\n")
