"""Logins to the console: passwords, sessions, and how often one may guess.

A session's token is 256 random bits in a cookie; only its hash is stored. A refusal tells nothing: unknown account,
wrong password and an account without one take the same time and get the same answer.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import Request, Response

from services.notifier.settings import NotifierSettings
from services.notifier.store.directory import Directory, Sessions
from services.notifier.store.rows import StaffRow
from shared.clock import Clock
from shared.logs import get_logger

log = get_logger(__name__)

GUESSES_PER_ACCOUNT = 10
GUESSES_PER_ADDRESS = 30
GUESS_WINDOW = timedelta(minutes=15)
REMEMBERED_SUBJECTS = 10_000
LONGEST_PASSWORD = 200
SHORTEST_PASSWORD = 12
HASHES_AT_ONCE = 2
STAFF_ID = re.compile(r"[A-Za-z0-9_.-]{1,40}")


class LoginOutcome(StrEnum):
    """How a login ended; counted."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    LIMITED = "limited"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who has logged in."""

    person: StaffRow
    csrf: str


class GuessLimit:
    """Counts guesses per subject in a sliding window; in memory, so per process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._guesses: OrderedDict[str, deque[datetime]] = OrderedDict()

    def allows(self, subject: str, now: datetime) -> bool:
        """Tell whether one more guess is allowed, and count it."""
        guesses = self._guesses.setdefault(subject, deque())
        self._guesses.move_to_end(subject)
        while guesses and now - guesses[0] > GUESS_WINDOW:
            guesses.popleft()
        if len(guesses) >= self._most:
            return False
        guesses.append(now)
        while len(self._guesses) > REMEMBERED_SUBJECTS:
            self._guesses.popitem(last=False)
        return True

    def forgive(self, subject: str) -> None:
        """Forget the guesses of one who got in."""
        self._guesses.pop(subject, None)


class Passwords:
    """Hashes and checks passwords with argon2, in threads of its own: a hash takes a third of a second."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="argon2")
        self._of_nobody = self._hasher.hash(secrets.token_urlsafe(16))

    async def hash(self, password: str) -> str:
        """Return what is stored."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Check a password; None takes as long as any other and never matches."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._verify, stored or self._of_nobody, password)
        return found and stored is not None

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False


class Logins:
    """Begins, finds and ends sessions."""

    def __init__(
        self, directory: Directory, sessions: Sessions, passwords: Passwords, clock: Clock, settings: NotifierSettings
    ) -> None:
        self._directory = directory
        self._sessions = sessions
        self._passwords = passwords
        self._clock = clock
        self._settings = settings
        self._per_account = GuessLimit(GUESSES_PER_ACCOUNT)
        self._per_address = GuessLimit(GUESSES_PER_ADDRESS)
        # The prefix makes browsers refuse the cookie unless it is Secure and set by this very host.
        self.cookie = "__Host-shouwang" if settings.is_https else "shouwang"

    async def log_in(self, response: Response, staff_id: str, password: str, address: str) -> LoginOutcome:
        """Check a password and, if it is right, begin a session under a fresh token."""
        now = self._clock.now()
        # Both are counted, whatever the other says.
        allowed = [self._per_address.allows(address, now), self._per_account.allows(staff_id, now)]
        if not all(allowed):
            return LoginOutcome.LIMITED
        person = await self._directory.find(staff_id) if STAFF_ID.fullmatch(staff_id) else None
        stored = person.password_hash if person is not None and person.active else None
        if not await self._passwords.matches(stored, password[:LONGEST_PASSWORD]) or person is None:
            return LoginOutcome.REFUSED
        self._per_account.forgive(staff_id)
        await self._begin(response, person, now)
        return LoginOutcome.ACCEPTED

    async def visitor(self, request: Request) -> Visitor | None:
        """Return who sent the request, None without a session in force."""
        token = request.cookies.get(self.cookie)
        if not token:
            return None
        now = self._clock.now()
        idle_since = now - timedelta(minutes=self._settings.session_idle_minutes)
        found = await self._sessions.seen(hash_token(token), now, idle_since)
        return None if found is None else Visitor(*found)

    async def log_out(self, request: Request, response: Response) -> None:
        """End the session of a request."""
        if token := request.cookies.get(self.cookie):
            await self._sessions.end(hash_token(token))
        response.delete_cookie(self.cookie, path="/", secure=self._settings.is_https, httponly=True, samesite="lax")

    async def _begin(self, response: Response, person: StaffRow, now: datetime) -> None:
        token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        life = timedelta(hours=self._settings.session_hours)
        await self._sessions.begin(hash_token(token), person.staff_id, csrf, now, now + life)
        response.set_cookie(
            self.cookie,
            token,
            max_age=int(life.total_seconds()),
            path="/",
            secure=self._settings.is_https,
            httponly=True,
            samesite="lax",
        )
        log.info("console login", staff_id=person.staff_id)


def hash_token(token: str) -> bytes:
    """Return what is stored of a session's token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def same(one: str, other: str) -> bool:
    """Compare two tokens in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
