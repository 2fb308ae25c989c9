"""Access tokens of OAuth 2 in place of a password: the consent, renewal, and the identity provider's words.

Standard library only, on the managed host. No token is ever part of a sentence.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils._program import tokens

SECONDS = 20
# What has less left is renewed before it is used.
LEFT_SECONDS = 60
# A consent that is not used for long ends by itself.
IDLE_SECONDS = 7 * 86400
_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


class Ended(Exception):
    """The identity provider says no, in its own words."""


class Away(Exception):
    """It says nothing."""


class Pending(Exception):
    """The person has not consented yet; this many seconds more between two questions."""


# --- the identity provider ---------------------------------------------------------------------------


def ask(account: Mapping[str, Any], url: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """What the identity provider answers to a form; its certificate is always verified, and it leads nowhere else."""
    form = urllib.parse.urlencode({"client_id": account["oauth"]["client_id"], **fields})
    where = urllib.parse.urlsplit(url)
    try:
        context = ssl.create_default_context(cafile=account["ca_file"])
        asked = http.client.HTTPSConnection(where.netloc, timeout=SECONDS, context=context)
        try:
            asked.request("POST", where.path, form, {"Content-Type": "application/x-www-form-urlencoded"})
            answer = asked.getresponse()
            status, body = answer.status, answer.read(100_000)
        finally:
            asked.close()
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or error
        raise Away(f"the identity provider {where.hostname} cannot be reached: {why}") from None
    try:
        said = dict(json.loads(body))
    except (ValueError, TypeError):
        said = {}
    if status == 200 and said:
        return said
    raise _refusal(status, said, account, where.hostname)


def _refusal(status: int, said: Mapping[str, Any], account: Mapping[str, Any], host: str | None) -> Exception:
    error = str(said.get("error", f"status {status}"))
    if error in ("authorization_pending", "slow_down"):
        return Pending(5 if error == "slow_down" else 0)
    if "error" not in said or status >= 500 or error == "temporarily_unavailable":
        return Away(f"the identity provider {host} cannot be asked: it answers {error}")
    # Microsoft adds numbers of its own.
    about = " ".join(str(said.get("error_description", "")).partition("Trace ID:")[0].split())
    text = ": ".join(filter(None, [error, about]))
    kept = tokens.kept(account)
    for secret in (
        account["oauth"].get("client_secret"),
        *map(kept.get, ("refresh_token", "access_token", "device_code")),
    ):
        text = text.replace(secret, "********") if secret else text
    return Ended("".join(sign for sign in text if sign.isprintable())[:400])


def begin(account: Mapping[str, Any]) -> dict[str, Any]:
    """Ask for a consent: `verification_uri` and `user_code` are for a person, who has `expires_in` seconds."""
    answer = ask(account, account["oauth"]["device_url"], {"scope": account["oauth"]["scope"]})
    with tokens.locked():
        tokens.keep(account, {**tokens.kept(account), "device_code": answer["device_code"]})
    return {name: answer.get(name) for name in ("verification_uri", "user_code", "expires_in", "interval")}


def finish(account: Mapping[str, Any]) -> str:
    """Keep the consent that was asked for once it is given; who gave it. Raises Pending until then."""
    with tokens.locked():
        fields = {"grant_type": _DEVICE, "device_code": tokens.kept(account).get("device_code", "")}
        answer = ask(account, account["oauth"]["token_url"], fields)
        _keep(account, answer, {})
    return person(answer)


def person(answer: Mapping[str, Any]) -> str:
    """Who consented, by the token about the person; it came from the identity provider itself."""
    with suppress(ValueError, KeyError, IndexError, AttributeError):
        claims = answer["id_token"].split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        return str(said.get("preferred_username") or said.get("email") or "")
    return ""


# --- the token ---------------------------------------------------------------------------------------


def access_token(account: Mapping[str, Any], refused: str = "", renew: bool = False) -> str:
    """A token that is good for a minute at least, not the one that was refused. Raises Ended or Away."""
    with tokens.locked():
        kept, now = tokens.kept(account), time.time()
        token, secret = kept.get("access_token", ""), account["oauth"].get("client_secret")
        # By a clock that was set back, nothing can be said of it.
        good = token and token != refused and kept["since"] <= now < kept["until"]
        if good and not renew and now < kept["until"] - LEFT_SECONDS:
            return str(token)
        if secret:
            fields = {"grant_type": "client_credentials", "client_secret": secret}
        elif kept.get("refresh_token"):
            fields = {"grant_type": "refresh_token", "refresh_token": kept["refresh_token"]}
        else:
            raise Ended("no_consent: this host has no consent to send for this account")
        try:
            answer = ask(account, account["oauth"]["token_url"], {**fields, "scope": account["oauth"]["scope"]})
        except Away:
            if good:
                return str(token)
            raise
        return _keep(account, answer, kept)


def renew_idle(account: Mapping[str, Any]) -> None:
    """Use a consent that has not been used for a week."""
    if tokens.kept(account).get("since", 0) < time.time() - IDLE_SECONDS:
        access_token(account, renew=True)


def _keep(account: Mapping[str, Any], answer: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """Write down what was answered, before it is used: a new refresh token may have ended the old one."""
    now, token = time.time(), str(answer.get("access_token", ""))
    # Most give a new refresh token each time, some none.
    refresh = answer.get("refresh_token") or before.get("refresh_token", "")
    until = now + float(answer.get("expires_in", 0))
    tokens.keep(account, {"refresh_token": refresh, "access_token": token, "since": now, "until": until})
    return token
