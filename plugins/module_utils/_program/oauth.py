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

from ansible_collections.homelab.mail.plugins.module_utils._program import accounts, tokens

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


def ask(account: Mapping[str, Any], address: str, wanted: str, **fields: str) -> dict[str, Any]:
    """The answer to a form, with what is wanted in it; the certificate is verified, and it leads nowhere else."""
    ours = account["oauth"]
    form = urllib.parse.urlencode({"client_id": ours["client_id"], **fields})
    where = urllib.parse.urlsplit(ours[address])
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
    if status == 200 and said.get(wanted):
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
    ours = {**account["oauth"], **tokens.kept(account)}
    secrets = [ours.get(name) for name in ("client_secret", "refresh_token", "access_token", "device_code")]
    text = str(accounts.hide(text, list(filter(None, secrets))))
    return Ended("".join(sign for sign in text if sign.isprintable())[:400])


def begin(account: Mapping[str, Any]) -> dict[str, Any]:
    """Ask for a consent: a person enters the code at the address within these seconds."""
    answer = ask(account, "device_url", "device_code", scope=account["oauth"]["scope"])
    with tokens.locked():
        tokens.keep(account, {**tokens.kept(account), "device_code": answer["device_code"]})
    return {
        **{name: account.get(name, "") for name in ("id", "username")},
        "address": answer.get("verification_uri"),
        "code": answer.get("user_code"),
        **{"seconds": int(answer.get("expires_in") or 900), "interval": int(answer.get("interval") or 5)},
    }


def finish(account: Mapping[str, Any]) -> str:
    """Keep the consent that was asked for once it is given; who gave it. Raises Pending until then."""
    with tokens.locked():
        code = tokens.kept(account).get("device_code", "")
        try:
            answer = ask(account, "token_url", "access_token", grant_type=_DEVICE, device_code=code)
        except Away as away:
            # One question that is lost does not end the consent of a person who is about to give it.
            raise Pending(5) from away
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
        token, ours = kept.get("access_token", ""), account["oauth"]
        # By a clock that was set back, nothing can be said of it.
        good = token and token != refused and kept["since"] <= now < kept["until"]
        if good and not renew and now < kept["until"] - LEFT_SECONDS:
            return str(token)
        if ours.get("client_secret"):
            fields = {"grant_type": "client_credentials", "client_secret": ours["client_secret"]}
        elif kept.get("refresh_token"):
            fields = {"grant_type": "refresh_token", "refresh_token": kept["refresh_token"]}
        else:
            raise Ended(tokens.NO_CONSENT)
        try:
            answer = ask(account, "token_url", "access_token", scope=ours["scope"], **fields)
        except Away:
            if good:
                return str(token)
            raise
        except Ended as end:
            # For `smarthost status`, where no mail waits that would tell.
            if kept:
                tokens.keep(account, {**kept, "ended": str(end)})
            raise
        return _keep(account, answer, kept)


def renew_idle(account: Mapping[str, Any]) -> None:
    """Use a consent that has not been used for a week, and see whether one that had ended is good again."""
    if tokens.ended(account) or tokens.kept(account).get("since", 0) < time.time() - IDLE_SECONDS:
        access_token(account, renew=True)


def _keep(account: Mapping[str, Any], answer: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """Write down what was answered, before it is used: a new refresh token may have ended the old one."""
    now, token = time.time(), str(answer["access_token"])
    # Most give a new refresh token each time, some none.
    refresh = answer.get("refresh_token") or before.get("refresh_token", "")
    until = now + float(answer.get("expires_in") or 0)
    tokens.keep(account, {"refresh_token": refresh, "access_token": token, "since": now, "until": until})
    return token
