"""How an account gets a token in place of a password: the application, and who consents."""

from __future__ import annotations

import re

from ansible_collections.homelab.mail.plugins.plugin_utils.verdict import Verdict

GUIDE = "docs/oauth.md says where to make one."
# What all providers that are known here give out.
_ID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def read_oauth(verdict: Verdict) -> dict[str, str]:
    """The application of the variables, and where it is known; nothing where the provider has no such login."""
    name, known = verdict.provider["name"], verdict.provider.get("oauth")
    if not known:
        able = ", ".join(key for key, one in verdict.providers.items() if "oauth" in one)
        verdict.fault("auth", f"is oauth, which the role does not know of {name}.", f"It does of: {able}.")
        return {}
    if verdict.text("password"):
        verdict.fault("password", "is given, but the login is by OAuth 2 (smarthost_auth is oauth).", "Take it out.")
    client_id, secret = verdict.text("oauth_client_id").strip(), verdict.text("oauth_client_secret").strip()
    if not client_id:
        verdict.fault("oauth_client_id", "is not set.", f"Write the id of an application of your own. {GUIDE}")
    elif not _ID.fullmatch(client_id):
        verdict.fault("oauth_client_id", f"{client_id!r} is no id of an application.", f"It has five groups. {GUIDE}")
    if _ID.fullmatch(secret):
        verdict.fault(
            "oauth_client_secret",
            "is the id of a secret, not the secret itself.",
            "Take what stands under Value when it is made; it is shown only then.",
        )
    if secret and "application_scope" not in known:
        verdict.fault(
            "oauth_client_secret",
            f"is given, but at {name} it is a person who consents.",
            "Take it out, and run playbooks/consent.yml.",
        )
    tenant = verdict.text("oauth_tenant").strip() or known.get("tenant", "")
    if not tenant:
        verdict.fault("oauth_tenant", "is not set.", "Write the id of the directory, or one of its domains.")
    elif not re.fullmatch("[A-Za-z0-9.-]+", tenant):
        verdict.fault("oauth_tenant", f"{tenant!r} is no directory.", "Write its id, or one of its domains.")
    return {
        **{key: str(known[key]).format(tenant=tenant) for key in ("token_url", "device_url")},
        "client_id": client_id,
        "client_secret": secret,
        "scope": known["application_scope" if secret and "application_scope" in known else "scope"],
    }
