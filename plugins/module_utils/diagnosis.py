"""What a reply of a mail provider or a line in Postfix's log means, and what to do about it.

Pure Python, standard library only, no I/O: runs on managed hosts (Python 3.7 and newer) and on the controller.

To add a reply that nobody has met before, add an `Entry` to the table (or a sentence to one that is there) and the
whole line to the tests. Nothing else needs to change, and the place in the table does not matter:

- A sentence is matched, never a code: providers use 535 5.7.8, 5.7.139 or 554 5.7.1 for many things.
- "…" stands for what varies: an address, a host, a number. What is left must occur in the text, in its order.
- Case, white space and line breaks do not count, nor do the codes that begin each line of a reply.
- The sentence that asks for the most text wins, so a longer one is an exception to a shorter one.
- Where two ask for as much, the entry of the provider in question wins, then the one for everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

KINDS = (
    "login",  # user name or password
    "sender",  # the envelope sender or the From
    "certificate",  # who the server is cannot be proved
    "tls",  # encryption does not come about
    "network",  # the server is not reached
    "limit",  # too much in a time, or at once
    "size",  # the message is too large
    "policy",  # the provider or its administrator forbids it
    "configuration",  # Postfix on this host
    "temporary",  # passes by itself
    "account",  # the state of the account at the provider
)


@dataclass(frozen=True)
class Failure:
    """What a text means: a stable name, the reason and the cure in whole sentences, and a page to read."""

    key: str
    cause: str
    remedy: str
    kind: str
    link: str = ""


@dataclass(frozen=True)
class Entry:
    """One failure, and the sentences that tell of it."""

    key: str
    kind: str
    cause: str
    remedy: str
    link: str = ""
    # Presets whose replies these are; none: any server says this, or Postfix itself.
    providers: tuple[str, ...] = ()
    # Sentences that mean this wherever they turn up.
    says: tuple[str, ...] = ()
    # Sentences that others say as well: they mean this only from one of `providers`.
    says_there: tuple[str, ...] = ()


# ---- Sentences that several entries share --------------------------------------------------------------------------

# How servers refuse a user name or a password. The last one is Postfix's own frame around a reply not known otherwise.
LOGIN_REFUSED = (
    "authentication failed",
    "authentication unsuccessful",
    "authentication credentials invalid",
    "incorrect authentication data",
    "invalid login or password",
    "invalid username or password",
    "bad username / password",
    "SASL authentication failed; server … said: 5",
)

# How OpenSSL says that the other side did not speak TLS; the last two are those of newer versions.
NO_TLS_THERE = ("wrong version number", "record layer failure", "packet length too long")

# How Microsoft refuses a password.
MICROSOFT_BASIC_OFF = "authentication unsuccessful, basic authentication is disabled"
MICROSOFT_MAILBOX_OFF = "SmtpClientAuthentication is disabled for the Mailbox"
MICROSOFT_TENANT_OFF = "SmtpClientAuthentication is disabled for the Tenant"
MICROSOFT_CREDENTIALS = "the user credentials were incorrect"
MICROSOFT_CRITERIA = "did not meet the criteria to be authenticated successfully"
MICROSOFT_REMOVED = "basic authentication is not supported for client submission"
MICROSOFT_PLAIN_NO = "authentication unsuccessful […outlook.com"

APP_PASSWORD_PAGE_GOOGLE = "https://support.google.com/accounts/answer/185833"
GOOGLE_ERRORS = "https://support.google.com/a/answer/3726730"
SMTP_AUTH_MICROSOFT = (
    "https://learn.microsoft.com/en-us/exchange/"
    "clients-and-mobile-in-exchange-online/authenticated-client-smtp-submission"
)
SES_ERRORS = "https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-error-messages.html"
SES_QUOTAS = "https://docs.aws.amazon.com/ses/latest/dg/quotas.html"

TABLE = (
    # ---- Fastmail --------------------------------------------------------------------------------------------------
    Entry(
        key="fastmail-login-refused",
        kind="login",
        providers=("fastmail",),
        says=("Incorrect username, password or access token",),
        says_there=LOGIN_REFUSED,
        cause=(
            "Fastmail refused the login: it takes only app passwords, and only together with the address that the "
            "account was opened with. A plan without app passwords (Basic) gets the same reply."
        ),
        remedy=(
            "Check in this order: smarthost_password is an app password, made under Settings → Privacy & Security → "
            "Connected apps & API tokens → Manage app passwords and access; that app password gives access to mail "
            "(SMTP); smarthost_username is the address that the account was opened with, not an alias; the plan is "
            "Standard or higher."
        ),
        link="https://fastmail.help/hc/en-us/articles/1500000279921",
    ),
    Entry(
        key="fastmail-header-from",
        kind="sender",
        providers=("fastmail",),
        says=(
            "Not authorised to send from this header address",
            "Not authorized to send from this header address",
        ),
        cause=(
            "Fastmail refused the mail because the address in its From header does not belong to the account. Mail of "
            "cron and other services often says From: root."
        ),
        remedy=(
            "Set smarthost_from to an address or alias of the account, and smarthost_rewrite to all where programs set "
            "a From of their own; or add the address to the account as an alias or a catch-all alias."
        ),
        link="https://www.fastmail.help/hc/en-us/articles/1500000280401-Identities",
    ),
    Entry(
        key="fastmail-several-from",
        kind="sender",
        providers=("fastmail",),
        says=("Multiple addresses in a From header is not allowed",),
        cause="Fastmail refused the mail because its From header has more than one address or is malformed.",
        remedy=(
            "Correct the sender in the program that wrote the mail: one address, and a name with a comma in quotes. "
            "Setting smarthost_rewrite to all puts smarthost_from in its place."
        ),
    ),
    Entry(
        key="fastmail-login-limit",
        kind="limit",
        providers=("fastmail",),
        says=("Already reached … limit for logins",),
        cause=(
            "The account logged in to Fastmail too often: 500 logins in ten minutes are allowed, counted over all "
            "programs that use it."
        ),
        remedy=(
            "Wait ten minutes; Postfix tries again by itself. If it comes back, lower "
            "smtp_destination_concurrency_limit in smarthost_parameters, and look for a program that logs in over and "
            "over."
        ),
    ),
    Entry(
        key="fastmail-account-locked",
        kind="account",
        providers=("fastmail",),
        says=("Client host rejected: Address locked or deactivated",),
        cause=(
            "Fastmail seems to have locked or deactivated the account. This reply is known from public logs only, not "
            "from Fastmail's pages."
        ),
        remedy=(
            "Log in to Fastmail in a browser, see whether the account is active and paid; if it is, ask its support."
        ),
    ),
    # ---- iCloud ----------------------------------------------------------------------------------------------------
    Entry(
        key="icloud-login-refused",
        kind="login",
        providers=("icloud",),
        says_there=LOGIN_REFUSED,
        cause=(
            "iCloud refused the login: it takes only app-specific passwords, and only together with the full iCloud "
            "address. Turning two-factor authentication off revokes all of them."
        ),
        remedy=(
            "Check in this order: smarthost_password is an app-specific password with its hyphens, not that of the "
            "Apple Account; two-factor authentication is on and the password not revoked (make a new one at "
            "account.apple.com under Sign-In & Security → App-Specific Passwords); smarthost_username is the whole "
            "iCloud address, also for mail from a domain of your own."
        ),
        link="https://support.apple.com/en-us/102525",
    ),
    Entry(
        key="icloud-sender-refused",
        kind="sender",
        providers=("icloud",),
        says=("From address is not one of your addresses",),
        cause="iCloud refused the envelope sender because it is no address of the account.",
        remedy=(
            "Set smarthost_from to the account's address, one of its aliases or an address of its custom domain. If "
            "mail came from another address of this host, set smarthost_rewrite to all."
        ),
        link="https://support.apple.com/en-us/102525",
    ),
    Entry(
        key="icloud-daily-limit",
        kind="limit",
        providers=("icloud",),
        says=("@icloud.com: You have exceeded your daily sending limit",),
        says_there=("You have exceeded your daily sending limit",),
        cause=(
            "The iCloud account has used up what it may send in a day: 1000 messages and 1000 recipients. Apple "
            "documents this sentence for its web mail; over SMTP it may read or count a little differently."
        ),
        remedy=(
            "Wait a day. If it comes back, find out what sends so much, or use a service that is made for mail of "
            "programs."
        ),
        link="https://support.apple.com/en-ca/102198",
    ),
    Entry(
        key="icloud-no-permission",
        kind="account",
        providers=("icloud",),
        says=("User has no permission to send mail through this server",),
        cause=(
            "iCloud does not let this account send yet. Apple does not document this reply; it is said to come while a "
            "new account is in a period of probation."
        ),
        remedy="Wait some hours and try again; if it stays, ask Apple Support.",
    ),
    Entry(
        key="icloud-wrong-tls",
        kind="tls",
        providers=("icloud",),
        says_there=NO_TLS_THERE,
        cause="TLS was begun at once, but iCloud begins in plain text on port 587 and switches to TLS by STARTTLS.",
        remedy="Set smarthost_port to 587 and smarthost_tls to starttls, or leave both out: the preset knows them.",
        link="https://support.apple.com/en-us/102525",
    ),
    # ---- Gmail and the relay of Google Workspace -------------------------------------------------------------------
    Entry(
        key="gmail-login-refused",
        kind="login",
        providers=("gmail",),
        says=("Username and Password not accepted",),
        says_there=LOGIN_REFUSED,
        cause=(
            "Google refused the login: it takes only app passwords (16 letters), never the account's own password. A "
            "change of the Google password revokes every app password."
        ),
        remedy=(
            "Check in this order: smarthost_username is the full address of the account; smarthost_password is an app "
            "password of that account, without spaces; it was not revoked. If in doubt, make a new one: 2-Step "
            "Verification must be on."
        ),
        link=APP_PASSWORD_PAGE_GOOGLE,
    ),
    Entry(
        key="google-relay-login-refused",
        kind="login",
        providers=("google_relay",),
        says_there=(*LOGIN_REFUSED, "Username and Password not accepted"),
        cause=(
            "Google refused the login at its Workspace relay: it takes only app passwords (16 letters) of a Workspace "
            "user whom the relay rule lets in. A change of the Google password revokes every app password."
        ),
        remedy=(
            "Check in this order: smarthost_username is the full address of the user; smarthost_password is an app "
            "password of that user, without spaces and not revoked; the relay rule in the Admin console asks for SMTP "
            "authentication and covers that user."
        ),
        link="https://support.google.com/a/answer/2956491",
    ),
    Entry(
        key="google-relay-by-address",
        kind="configuration",
        providers=("google_relay",),
        says_there=("cannot authenticate to server … generic failure",),
        cause=(
            "The Workspace relay did not take a login. It does so where its rule lets hosts in by IP address alone; "
            "Postfix reports that as a generic failure."
        ),
        remedy=(
            "Ask the Workspace administrator to let the relay rule require SMTP authentication, which needs TLS; the "
            "role always logs in."
        ),
        link="https://support.google.com/a/answer/2956491",
    ),
    Entry(
        key="gmail-app-password-required",
        kind="login",
        providers=("gmail", "google_relay"),
        says=("Application-specific password required",),
        cause=(
            "Google refused the account's own password: 2-Step Verification is on, and programs then need an app "
            "password."
        ),
        remedy="Make an app password for the account, and put it into smarthost_password without spaces.",
        link=APP_PASSWORD_PAGE_GOOGLE,
    ),
    Entry(
        key="gmail-browser-sign-in",
        kind="login",
        providers=("gmail", "google_relay"),
        says=("log in via your web browser",),
        cause="Google found the login suspicious and wants to see a person first.",
        remedy=(
            "Sign in to the account once in a browser and confirm that it was you; then make an app password and put "
            "it into smarthost_password."
        ),
        link=APP_PASSWORD_PAGE_GOOGLE,
    ),
    Entry(
        key="gmail-login-limit",
        kind="limit",
        providers=("gmail", "google_relay"),
        says=("Too many login attempts, please try again later",),
        cause=(
            "Google stopped the logins for a while because there were too many. A wrong password that is tried again "
            "and again brings this about too."
        ),
        remedy=(
            "Look for an earlier refusal of the password in the log and cure that one first. Then wait; Postfix tries "
            "again by itself. If it comes back, lower smtp_destination_concurrency_limit in smarthost_parameters."
        ),
    ),
    Entry(
        key="gmail-temporary",
        kind="temporary",
        providers=("gmail", "google_relay"),
        says=("Temporary System Problem. Try again later",),
        cause="Google has a problem for the moment, or slows this sender down.",
        remedy="Wait: Postfix tries again by itself. If it lasts for hours, send less at once.",
        link=GOOGLE_ERRORS,
    ),
    Entry(
        key="google-relay-helo",
        kind="configuration",
        providers=("google_relay", "gmail"),
        says=("Try again later, closing connection. (EHLO)",),
        cause=(
            "Google's relay did not like the name that this host greets with (HELO), such as localhost or a name "
            "outside the organization's domains."
        ),
        remedy="Set smarthost_hostname to a name in a domain of the organization.",
        link=GOOGLE_ERRORS,
    ),
    Entry(
        key="gmail-daily-limit",
        kind="limit",
        providers=("gmail", "google_relay"),
        says=(
            "Daily user sending limit exceeded",
            "Daily user sending quota exceeded",
            "Daily sending quota exceeded",
            "Daily SMTP relay limit exceeded for user",
        ),
        cause=(
            "The Google account has used up what it may send in a day: 500 messages on a personal account, 2000 on "
            "Workspace, 10000 through the relay."
        ),
        remedy=(
            "Wait: the block lasts up to 24 hours. If it comes back, find out what sends so much, or use a service "
            "that is made for mail of programs."
        ),
        link="https://support.google.com/a/answer/166852",
    ),
    Entry(
        key="google-relay-limit",
        kind="limit",
        providers=("google_relay",),
        says=(
            "Peak SMTP relay limit exceeded for customer",
            "Daily SMTP relay limit exceeded for customer",
        ),
        cause="The whole organization has sent as much through Google's relay as it may in ten minutes or in a day.",
        remedy=(
            "Wait: a peak passes within minutes, the daily limit within 24 hours. Mail that was returned has to be "
            "sent again. The Workspace administrator can see who sends so much."
        ),
        link="https://support.google.com/a/answer/2956491",
    ),
    Entry(
        key="google-relay-denied",
        kind="policy",
        providers=("google_relay",),
        says=("Mail relay denied", "Invalid credentials for relay"),
        cause=(
            "Google's relay did not recognize this host as one of the organization: neither its IP address nor its "
            "login is in the relay rule, or the sender's domain does not belong to the organization."
        ),
        remedy=(
            "Check in this order: smarthost_from is an address in a domain of the organization; the relay rule in the "
            "Admin console allows the user of smarthost_username; it does not ask for another IP address."
        ),
        link="https://support.google.com/a/answer/6140680",
    ),
    Entry(
        key="google-sending-denied",
        kind="account",
        providers=("gmail", "google_relay"),
        says=("Mail Sending denied",),
        cause="Google does not let this account send mail.",
        remedy="Sign in to the account in a browser and look for a notice; on Workspace, ask the administrator.",
        link=GOOGLE_ERRORS,
    ),
    Entry(
        key="gmail-too-large",
        kind="size",
        providers=("gmail", "google_relay"),
        says=("message exceeded Google's message size limits",),
        cause="The mail is larger than Google takes; attachments grow by a third when they are sent.",
        remedy=(
            "Send less in one mail. The preset's limit for this host, message_size_limit, can be lowered in "
            "smarthost_parameters, so that the sender learns of it at once."
        ),
        link=GOOGLE_ERRORS,
    ),
    # ---- Microsoft: Outlook.com and Microsoft 365 ------------------------------------------------------------------
    Entry(
        key="outlook-no-passwords",
        kind="policy",
        providers=("outlook",),
        says_there=(
            *LOGIN_REFUSED,
            MICROSOFT_BASIC_OFF,
            MICROSOFT_MAILBOX_OFF,
            MICROSOFT_CREDENTIALS,
            MICROSOFT_CRITERIA,
            MICROSOFT_REMOVED,
            MICROSOFT_PLAIN_NO,
        ),
        cause=(
            "Outlook.com has taken no passwords since September 2024, not even app passwords. Many mailboxes refuse an "
            "OAuth2 token as well."
        ),
        remedy="Use another provider: there is no setting at Outlook.com that changes this.",
        link="https://support.microsoft.com/en-us/office/pop-imap-and-smtp-settings-8361e398-8af4-4e97-b147-6c6c4ac95353",
    ),
    Entry(
        key="microsoft-basic-auth-disabled",
        kind="policy",
        providers=("microsoft365",),
        says=(MICROSOFT_BASIC_OFF,),
        cause=(
            "Microsoft takes no password here: a personal Outlook.com mailbox has none any more, and in Microsoft 365 "
            "the organization has switched password logins (basic authentication) off."
        ),
        remedy=(
            "In Microsoft 365, ask the administrator to allow basic authentication for SMTP AUTH; for a personal "
            "mailbox, use another provider."
        ),
        link=SMTP_AUTH_MICROSOFT,
    ),
    Entry(
        key="microsoft365-smtp-auth-off-tenant",
        kind="policy",
        providers=("microsoft365",),
        says=(MICROSOFT_TENANT_OFF,),
        cause="Logins by SMTP are switched off for the whole Microsoft 365 organization.",
        remedy=(
            "Ask the administrator to switch them on: Set-TransportConfig -SmtpClientAuthenticationDisabled $false, or "
            "for the one mailbox with Set-CASMailbox."
        ),
        link=SMTP_AUTH_MICROSOFT,
    ),
    Entry(
        key="microsoft365-smtp-auth-off-mailbox",
        kind="policy",
        providers=("microsoft365",),
        says=(MICROSOFT_MAILBOX_OFF,),
        cause="Logins by SMTP are switched off for this mailbox.",
        remedy=(
            "In Microsoft 365, ask the administrator to switch them on: Set-CASMailbox with "
            "-SmtpClientAuthenticationDisabled $false. A personal Outlook.com mailbox has no such switch: use another "
            "provider."
        ),
        link=SMTP_AUTH_MICROSOFT,
    ),
    Entry(
        key="microsoft-credentials",
        kind="login",
        providers=("microsoft365",),
        says=(MICROSOFT_CREDENTIALS,),
        cause=(
            "Microsoft refused the user name or the password. An account with multi-factor authentication gets this "
            "reply for its own password too."
        ),
        remedy=(
            "Check in this order: smarthost_username is the user principal name of the mailbox; smarthost_password is "
            "its password; multi-factor authentication does not stand in the way (then it takes an app password, where "
            "the organization allows them)."
        ),
        link=SMTP_AUTH_MICROSOFT,
    ),
    Entry(
        key="microsoft-criteria",
        kind="policy",
        providers=("microsoft365",),
        says=(MICROSOFT_CRITERIA,),
        cause=(
            "Microsoft refused the login without saying why. The same reply is reported for SMTP AUTH being off, for a "
            "policy of the organization and for a wrong password."
        ),
        remedy=(
            "Check in this order: SMTP AUTH is on for the mailbox and for the organization; no Conditional Access "
            "policy or multi-factor authentication stands in the way; smarthost_username and smarthost_password are "
            "right."
        ),
        link=SMTP_AUTH_MICROSOFT,
    ),
    Entry(
        key="microsoft-security-defaults",
        kind="policy",
        providers=("microsoft365", "outlook"),
        says=("user is locked by your organization's security defaults policy",),
        cause="The Security Defaults of the Microsoft 365 organization forbid logins by password.",
        remedy=(
            "Ask the administrator to replace Security Defaults by rules that let this mailbox log in, or send through "
            "another provider."
        ),
        link=SMTP_AUTH_MICROSOFT,
    ),
    Entry(
        key="microsoft-federation",
        kind="temporary",
        providers=("microsoft365", "outlook"),
        says=("authentication unsuccessful … federated STS", "federated STS"),
        cause=(
            "Microsoft could not reach the sign-in server of the organization, which it asks about this account's "
            "password (federation)."
        ),
        remedy=(
            "Ask the administrator whether that server works; a mailbox that signs in at Microsoft itself avoids it."
        ),
        link=SMTP_AUTH_MICROSOFT,
    ),
    Entry(
        key="microsoft-login-refused",
        kind="login",
        providers=("microsoft365",),
        says=(MICROSOFT_PLAIN_NO,),
        says_there=LOGIN_REFUSED,
        cause="Microsoft refused the login: the password is wrong, or an OAuth2 token is for another account or use.",
        remedy=(
            "Check in this order: smarthost_username is the user principal name of the mailbox; smarthost_password is "
            "its password; SMTP AUTH is on for the mailbox and the organization."
        ),
        link=SMTP_AUTH_MICROSOFT,
    ),
    Entry(
        key="microsoft-basic-auth-removed",
        kind="policy",
        providers=("microsoft365",),
        says=(MICROSOFT_REMOVED,),
        cause="Microsoft has removed logins by password (basic authentication) for sending mail.",
        remedy="Send through another provider: only OAuth2 is left there, and the role logs in with a password.",
        link="https://techcommunity.microsoft.com/blog/exchange/updated-exchange-online-smtp-auth-basic-authentication-deprecation-timeline/4489835",
    ),
    Entry(
        key="microsoft-send-as-denied",
        kind="sender",
        providers=("microsoft365", "outlook"),
        says=("SendAsDenied", "Client does not have permissions to send as this sender"),
        cause="Microsoft refused the sender: the login may not send as that address.",
        remedy=(
            "Set smarthost_from to the login's own address, and smarthost_rewrite to all where programs set another; "
            "or ask the administrator for the Send As right on that address."
        ),
        link=SMTP_AUTH_MICROSOFT,
    ),
    Entry(
        key="microsoft-connections",
        kind="limit",
        providers=("microsoft365", "outlook"),
        says=("Concurrent connections limit exceeded", "sender thread limit exceeded"),
        cause="More than three connections were open at once for this mailbox, over all hosts that use it.",
        remedy=(
            "Wait: Postfix tries again by itself. If it comes back, set smtp_destination_concurrency_limit to 1 in "
            "smarthost_parameters, or give each host a mailbox of its own."
        ),
        link="https://learn.microsoft.com/en-us/exchange/troubleshoot/send-emails/smtp-submission-improvements",
    ),
    Entry(
        key="microsoft-daily-limit",
        kind="limit",
        providers=("microsoft365", "outlook"),
        says=("SubmissionQuotaExceeded",),
        cause="The mailbox has sent to as many recipients as Microsoft allows in a day (10000 in Microsoft 365).",
        remedy="Wait a day, and find out what sends so much. Mail that was returned has to be sent again.",
        link="https://learn.microsoft.com/en-us/exchange/troubleshoot/send-emails/smtp-submission-improvements",
    ),
    Entry(
        key="microsoft-mailbox-full",
        kind="account",
        providers=("microsoft365", "outlook"),
        says=("mailbox full; … QuotaExceededException",),
        cause="The sending mailbox at Microsoft is full, mostly of its own Sent Items, which keep a copy of each mail.",
        remedy="Empty Sent Items of that mailbox, and let a retention rule do so from now on.",
    ),
    Entry(
        key="microsoft-sender-blocked",
        kind="account",
        providers=("microsoft365", "outlook"),
        says=("Access denied, bad outbound sender",),
        cause="Microsoft has stopped this account from sending, because it took its mail for spam.",
        remedy=(
            "Change the account's password, find out what it sent, and ask the administrator to take it off the list "
            "of restricted entities."
        ),
    ),
    Entry(
        key="microsoft-tls-channel",
        kind="tls",
        providers=("microsoft365", "outlook"),
        says=("Failed to establish appropriate TLS channel",),
        cause=(
            "A Microsoft server expected a certificate from this host, as between mail servers. At the submission host "
            "this should not happen."
        ),
        remedy="See that smarthost_host is smtp.office365.com and smarthost_port 587, or leave both to the preset.",
    ),
    Entry(
        key="microsoft-token-expires",
        kind="login",
        providers=("microsoft365", "outlook"),
        says=("Token will expire soon",),
        cause="Microsoft's high-volume service refused an OAuth2 token because it is valid for a short time only.",
        remedy="Let the program that renews the token do so earlier: refresh_window at 600 or more in sasl-xoauth2.",
        link="https://github.com/tarickb/sasl-xoauth2",
    ),
    # ---- Mailgun ---------------------------------------------------------------------------------------------------
    Entry(
        key="mailgun-login-refused",
        kind="login",
        providers=("mailgun",),
        says=("Mailgun is not loving your login or password",),
        says_there=LOGIN_REFUSED,
        cause=(
            "Mailgun refused the login: it takes the SMTP credential of a sending domain, not the login of the control "
            "panel, and only in the region that the domain belongs to."
        ),
        remedy=(
            "Check in this order: smarthost_region (us or eu) is that of the domain; smarthost_username is an SMTP "
            "credential such as postmaster@ and the domain; smarthost_password is that credential's own password."
        ),
        link="https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp",
    ),
    Entry(
        key="mailgun-sandbox",
        kind="account",
        providers=("mailgun",),
        says=("Sandbox subdomains",),
        cause="Mailgun's sandbox domain sends only to addresses that are listed as authorized recipients.",
        remedy=(
            "Add and verify a domain of your own at Mailgun and use a credential of it, or add the recipient to the "
            "authorized recipients in the account settings."
        ),
        link="https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp",
    ),
    Entry(
        key="mailgun-relay-denied",
        kind="policy",
        providers=("mailgun",),
        says_there=("Relaying denied", "Relay access denied"),
        cause="Mailgun did not take the mail: there was no login, or the login belongs to another domain.",
        remedy=(
            "Check in this order: the log shows no failed login before; smarthost_username is a credential of the "
            "domain in smarthost_from; smarthost_region is that of the domain."
        ),
        link="https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp",
    ),
    # ---- Brevo -----------------------------------------------------------------------------------------------------
    Entry(
        key="brevo-login-refused",
        kind="login",
        providers=("brevo",),
        says_there=LOGIN_REFUSED,
        cause=(
            "Brevo refused the login: it takes only an SMTP key, not an API key and not the account's password, and a "
            "login that may differ from the account's address."
        ),
        remedy=(
            "Look up both under SMTP & API: the SMTP login is smarthost_username, an SMTP key is smarthost_password."
        ),
        link="https://developers.brevo.com/docs/smtp-integration",
    ),
    Entry(
        key="brevo-ip-address",
        kind="policy",
        providers=("brevo",),
        says=("Unauthorized IP address",),
        cause="Brevo does not know the public IP address of this host, and refuses addresses that it does not know.",
        remedy=(
            "Add the address under Security → Authorized IPs, or switch that check off. Do so again when the address "
            "changes."
        ),
        link="https://wpmailsmtp.com/docs/brevo-unauthorized-not-verified",
    ),
    Entry(
        key="brevo-not-activated",
        kind="account",
        providers=("brevo",),
        says=("Your SMTP account is not yet activated",),
        cause="Brevo has not activated sending by SMTP for this account yet.",
        remedy="Ask Brevo's support to activate it.",
        link="https://developers.brevo.com/docs/smtp-integration",
    ),
    # ---- Amazon SES ------------------------------------------------------------------------------------------------
    Entry(
        key="ses-login-refused",
        kind="login",
        providers=("ses",),
        says_there=LOGIN_REFUSED,
        cause=(
            "Amazon SES refused the login: it takes only SMTP credentials, not AWS access keys, and only in the region "
            "that they were made for. New ones take a minute or two to become valid."
        ),
        remedy=(
            "Check in this order: smarthost_username and smarthost_password are SMTP credentials made in SES; "
            "smarthost_region is the region they were made for; they are older than some minutes."
        ),
        link="https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-smtp.html",
    ),
    Entry(
        key="ses-not-verified",
        kind="sender",
        providers=("ses",),
        says=("Email address is not verified", "The following identities failed the check in region"),
        cause=(
            "Amazon SES refused an address that is not a verified identity in this region: the sender, or, while the "
            "account is in the sandbox, a recipient."
        ),
        remedy=(
            "The end of the reply names the address. Verify it or its domain in the region of smarthost_region, or set "
            "smarthost_from to one that is; to write to anybody, ask AWS to take the account out of the sandbox."
        ),
        link=SES_ERRORS,
    ),
    Entry(
        key="ses-not-authorized",
        kind="policy",
        providers=("ses",),
        says=("is not authorized to perform ses:SendRawEmail", "is not authorized to perform … ses:Send"),
        cause="The AWS user behind the SMTP credentials has no right to send with this identity.",
        remedy=(
            "Allow that user ses:SendRawEmail on the identity in its IAM policy, or make new SMTP credentials in SES."
        ),
        link=SES_ERRORS,
    ),
    Entry(
        key="ses-rate",
        kind="limit",
        providers=("ses",),
        says=("Throttling failure: Maximum sending rate exceeded",),
        says_there=("Maximum sending rate exceeded",),
        cause="This host sent faster than the Amazon SES account may: one mail a second in the sandbox.",
        remedy=(
            "Wait: Postfix tries again by itself. If it comes back, lower smtp_destination_concurrency_limit or set "
            "smtp_destination_rate_delay in smarthost_parameters, or ask AWS for a higher rate."
        ),
        link=SES_QUOTAS,
    ),
    Entry(
        key="ses-daily-limit",
        kind="limit",
        providers=("ses",),
        says=("Throttling failure: Daily message quota exceeded",),
        says_there=("Daily message quota exceeded",),
        cause="The Amazon SES account has sent as much as it may in 24 hours: 200 mails in the sandbox.",
        remedy="Wait, and find out what sends so much; AWS raises the quota on request.",
        link=SES_QUOTAS,
    ),
    Entry(
        key="ses-connections",
        kind="limit",
        providers=("ses",),
        says_there=("Too many concurrent SMTP connections",),
        cause="More connections to Amazon SES were open at once than the account may have.",
        remedy=(
            "Wait: Postfix tries again by itself. If it comes back, lower smtp_destination_concurrency_limit in "
            "smarthost_parameters."
        ),
        link=SES_ERRORS,
    ),
    Entry(
        key="ses-temporary",
        kind="temporary",
        providers=("ses",),
        says_there=("Temporary service failure", "Timeout waiting for data from client"),
        cause="Amazon SES had a problem for the moment, or the connection was too slow for it.",
        remedy="Wait: Postfix tries again by itself. If it lasts for hours, see the health of the service at AWS.",
        link=SES_ERRORS,
    ),
    # ---- Other services for programs -------------------------------------------------------------------------------
    Entry(
        key="sendgrid-login-refused",
        kind="login",
        providers=("sendgrid",),
        says_there=LOGIN_REFUSED,
        cause=(
            'SendGrid refused the login: the user is the word "apikey" for everybody, the password an API key (SG.…).'
        ),
        remedy=(
            "Leave smarthost_username out or set it to apikey, and set smarthost_password to an API key that may send "
            "mail and has not been deleted."
        ),
        link="https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api",
    ),
    Entry(
        key="sendgrid-credits",
        kind="limit",
        providers=("sendgrid",),
        says=("Maximum credits exceeded",),
        cause="The SendGrid account has used up the mails of its plan. The login itself was right.",
        remedy="Wait for the next period or take a larger plan; then mail that waits leaves by itself.",
        link="https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api",
    ),
    Entry(
        key="sendgrid-not-logged-in",
        kind="configuration",
        providers=("sendgrid",),
        says=("Unauthenticated senders not allowed",),
        cause="SendGrid did not take the mail because there was no login before it.",
        remedy=(
            "Run the role again, which writes relay and password in the same spelling; then look for an earlier "
            "warning about the login in the log, and for something else that writes Postfix's configuration."
        ),
        link="https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api",
    ),
    Entry(
        key="sendgrid-sender-refused",
        kind="sender",
        providers=("sendgrid",),
        says=("The from address does not match a verified Sender Identity",),
        cause="SendGrid refused the From because it is not a verified Sender Identity of the account.",
        remedy=(
            "Verify the address or its domain at SendGrid, or set smarthost_from to one that is; set smarthost_rewrite "
            "to all where programs set a From of their own."
        ),
        link="https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api",
    ),
    Entry(
        key="postmark-login-refused",
        kind="login",
        providers=("postmark",),
        says_there=LOGIN_REFUSED,
        cause="Postmark refused the login: it takes a server API token as user and as password, or an SMTP token pair.",
        remedy=(
            "Set both smarthost_username and smarthost_password to the server API token, or to the two parts of an "
            "SMTP token."
        ),
        link="https://postmarkapp.com/support/article/811",
    ),
    Entry(
        key="mailjet-login-refused",
        kind="login",
        providers=("mailjet",),
        says_there=LOGIN_REFUSED,
        cause="Mailjet refused the login: the user is the API key, the password the secret key that belongs to it.",
        remedy="Set smarthost_username to the API key and smarthost_password to its secret key.",
        link="https://docs.cloud.google.com/compute/docs/tutorials/sending-mail/using-mailjet",
    ),
    Entry(
        key="smtp2go-login-refused",
        kind="login",
        providers=("smtp2go",),
        says_there=LOGIN_REFUSED,
        cause="SMTP2GO refused the login: it takes an \"SMTP user\" and that user's password, not the account's own.",
        remedy="Set smarthost_username to the name of an SMTP user, and smarthost_password to that user's password.",
        link="https://developers.smtp2go.com/docs/smtp-relay",
    ),
    Entry(
        key="smtp2go-sender-refused",
        kind="sender",
        providers=("smtp2go",),
        says=("From header sender domain not verified",),
        cause="SMTP2GO refused the From because neither the address nor its domain is verified there.",
        remedy=(
            "Verify the address or its domain at SMTP2GO, or set smarthost_from to one that is; set smarthost_rewrite "
            "to all where programs set a From of their own."
        ),
        link="https://developers.smtp2go.com/docs/smtp-relay",
    ),
    Entry(
        key="resend-login-refused",
        kind="login",
        providers=("resend",),
        says_there=LOGIN_REFUSED,
        cause='Resend refused the login: the user is the word "resend" for everybody, the password an API key (re_…).',
        remedy=(
            "Leave smarthost_username out or set it to resend, and set smarthost_password to an API key that has not "
            "been deleted."
        ),
        link="https://resend.com/docs/send-with-smtp",
    ),
    # ---- Other mailboxes -------------------------------------------------------------------------------------------
    Entry(
        key="yahoo-login-refused",
        kind="login",
        providers=("yahoo",),
        says_there=LOGIN_REFUSED,
        cause="Yahoo refused the login: programs need an app password, together with the full Yahoo address.",
        remedy=(
            "Make an app password in the security settings of the account, put it into smarthost_password without "
            "spaces, and the full address into smarthost_username."
        ),
    ),
    Entry(
        key="yahoo-login-limit",
        kind="limit",
        providers=("yahoo",),
        says=("Too many bad auth attempts",),
        cause="Yahoo stopped the logins for a while because the password was refused too often.",
        remedy=(
            "Set smarthost_password to an app password and smarthost_username to the full address, then wait: Postfix "
            "tries again by itself."
        ),
    ),
    Entry(
        key="aol-login-refused",
        kind="login",
        providers=("aol",),
        says_there=LOGIN_REFUSED,
        cause="AOL refused the login: programs need an app password, together with the full AOL address.",
        remedy=(
            "Make an app password (AOL sometimes refuses to in a browser that is new to it), put it into "
            "smarthost_password without spaces, and the full address into smarthost_username."
        ),
    ),
    Entry(
        key="gmx-login-refused",
        kind="login",
        providers=("gmx",),
        says_there=LOGIN_REFUSED,
        cause=(
            "GMX refused the login. Besides a wrong password, it refuses accounts in which access by POP3 and IMAP is "
            "off, and the account's own password where two-factor authentication is on."
        ),
        remedy=(
            "Check in this order: access by POP3 and IMAP is on in the settings of the mailbox; smarthost_username is "
            "the full address; smarthost_password is an app-specific password where two-factor authentication is on."
        ),
    ),
    Entry(
        key="gmx-sender-refused",
        kind="sender",
        providers=("gmx",),
        says=("Reject due to policy restrictions",),
        cause="The server refused the mail by a policy. GMX does so where the From is not the address that logged in.",
        remedy="Leave smarthost_from out, so that it is the login, and set smarthost_rewrite to all.",
        link="https://github.com/authelia/authelia/issues/2571",
    ),
    Entry(
        key="mail-com-login-refused",
        kind="login",
        providers=("mail_com",),
        says_there=LOGIN_REFUSED,
        cause="The provider mail.com refused the login. Sending by programs needs a Premium account, by what is known.",
        remedy=(
            "Check in this order: the account is a Premium one; smarthost_username is the full address; "
            "smarthost_password is right."
        ),
    ),
    Entry(
        key="web-de-login-refused",
        kind="login",
        providers=("web_de",),
        says_there=LOGIN_REFUSED,
        cause=(
            "WEB.DE refused the login: the user is only the part before the @, and access by POP3 and IMAP must be on."
        ),
        remedy=(
            "Check in this order: access by POP3 and IMAP is on in the settings of the mailbox; smarthost_username has "
            "no @web.de; smarthost_password is right."
        ),
    ),
    Entry(
        key="zoho-login-refused",
        kind="login",
        providers=("zoho",),
        says_there=LOGIN_REFUSED,
        cause=(
            "Zoho refused the login: with two-factor authentication on it takes only app passwords, and an account can "
            "log in only in its own region. The free plan may not include SMTP at all."
        ),
        remedy=(
            "Check in this order: smarthost_region is that of the account; smarthost_username is the full address; "
            "smarthost_password is an app password where two-factor authentication is on; the plan includes SMTP."
        ),
        link="https://www.zoho.com/mail/help/zoho-smtp.html",
    ),
    Entry(
        key="zoho-sender-refused",
        kind="sender",
        providers=("zoho",),
        says=("Relaying disallowed as",),
        cause="Zoho refused the sender because it is neither the account's address nor one of its aliases.",
        remedy=(
            "Set smarthost_from to the account's address or an alias of it, and smarthost_rewrite to all where "
            "programs set another."
        ),
        link="https://www.zoho.com/mail/help/zoho-smtp.html",
    ),
    Entry(
        key="zoho-unusual-activity",
        kind="account",
        providers=("zoho",),
        says=("Unusual sending activity detected",),
        cause="Zoho has stopped the account from sending because so much or such mail is unusual for it.",
        remedy="Log in to Zoho in a browser and unblock the account or ask its support; then send less at once.",
    ),
    Entry(
        key="proton-login-refused",
        kind="login",
        providers=("proton",),
        says_there=LOGIN_REFUSED,
        cause=(
            "Proton refused the login: it takes only an SMTP token, together with the very address on your own domain "
            "that it was made for, on plans that have SMTP."
        ),
        remedy=(
            "Set smarthost_username to that address and smarthost_password to the token; without such a plan there is "
            "only Proton Mail Bridge."
        ),
        link="https://proton.me/support/smtp-submission",
    ),
    Entry(
        key="migadu-login-refused",
        kind="login",
        providers=("migadu",),
        says_there=LOGIN_REFUSED,
        cause="Migadu refused the login: it takes the full address of the mailbox and the mailbox's own password.",
        remedy="Correct smarthost_username and smarthost_password; the password of the admin panel is another one.",
    ),
    Entry(
        key="mailbox-org-login-refused",
        kind="login",
        providers=("mailbox_org",),
        says_there=LOGIN_REFUSED,
        cause=(
            "The provider mailbox.org refused the login: the user is the main address of the account, and with "
            "two-factor authentication on it takes only app passwords."
        ),
        remedy=(
            "Set smarthost_username to the main address, and smarthost_password to an app password where two-factor "
            "authentication is on."
        ),
        link="https://kb.mailbox.org/en/private/e-mail/e-mail-configuration",
    ),
    Entry(
        key="posteo-login-refused",
        kind="login",
        providers=("posteo",),
        says_there=LOGIN_REFUSED,
        cause="Posteo refused the login: programs now need an app password, together with the full address.",
        remedy="Make an app password for smarthost_password, and put the full address into smarthost_username.",
        link="https://posteo.de/en/help/app-passwords",
    ),
    Entry(
        key="purelymail-login-refused",
        kind="login",
        providers=("purelymail",),
        says_there=LOGIN_REFUSED,
        cause=(
            "Purelymail refused the login: the user is the full address, and with multi-factor authentication on it "
            "takes only app passwords."
        ),
        remedy=(
            "Set smarthost_username to the full address, and smarthost_password to an app password where multi-factor "
            "authentication is on."
        ),
        link="https://purelymail.com/docs/users",
    ),
    # No preset, but its reply is known.
    Entry(
        key="ionos-limit",
        kind="limit",
        says=("Mail send limit exceeded",),
        cause=(
            "The account has sent as much as it may in an hour. IONOS says this, where the limit grows from 50 to 500 "
            "mails an hour with the age of the contract."
        ),
        remedy="Wait: Postfix tries again by itself. If it comes back, find out what sends so much.",
    ),
    # ---- Any server: login and sender ------------------------------------------------------------------------------
    Entry(
        key="login-refused",
        kind="login",
        says=LOGIN_REFUSED,
        cause=(
            "The provider refused the login: the user name or the password is not what it expects. Many providers take "
            "only a password that is made for programs, not the one of the web page."
        ),
        remedy=(
            "Check in this order: smarthost_username is spelled as the provider wants it, mostly the full address; "
            "smarthost_password is an app password or SMTP password where the provider has such; sending by SMTP is "
            "switched on for the account and included in its plan."
        ),
    ),
    Entry(
        key="login-not-now",
        kind="temporary",
        says=("Temporary authentication failure", "SASL authentication failed; server … said: 4"),
        cause="The provider could not check the login for the moment; it did not refuse it.",
        remedy="Wait: Postfix tries again by itself. If it lasts for hours, see the reply for what the provider wants.",
    ),
    Entry(
        key="not-logged-in",
        kind="configuration",
        says=(
            "Authentication required",
            "Please authenticate first",
            "Client not authenticated to send mail",
            "not authenticated to send anonymous mail during MAIL FROM",
            "Sender address rejected: not logged in",
            "Relay access denied",
            "Relaying denied",
            "smtp_sasl_passwd_lookup: no auth info found",
        ),
        cause=(
            "The server saw no login before the mail. Mostly Postfix found no password for it, because the relay is "
            "not spelled in the password table exactly as in relayhost (brackets, port) or that table is out of date."
        ),
        remedy=(
            "Run the role again: it writes both in the same spelling, and a table that is read as text. If it stays, "
            "look for an earlier warning about the login in the log, and for something else that writes Postfix's "
            "configuration."
        ),
    ),
    Entry(
        key="sender-refused",
        kind="sender",
        says=("Sender address rejected",),
        cause="The provider refused the sender: this login may not send as that address, or its domain does not exist.",
        remedy=(
            "Set smarthost_from to an address that belongs to the account. If mail came from another address of this "
            "host, set smarthost_rewrite to all."
        ),
    ),
    Entry(
        key="greylisted",
        kind="temporary",
        says=("Greylist", "Graylist"),
        cause=(
            "The server turns away each first mail from a sender whom it does not know yet, because spam rarely comes "
            "twice (greylisting)."
        ),
        remedy="Wait: Postfix tries again by itself, and mostly the second attempt passes, some minutes later.",
    ),
    # ---- Postfix: login --------------------------------------------------------------------------------------------
    Entry(
        key="sasl-no-mechanism",
        kind="configuration",
        says=(
            "cannot authenticate to server … no mechanism available",
            "SASL authentication failure: No worthy mechs found",
        ),
        cause="Postfix knows no way to log in that the server knows too; mostly a package for it is missing.",
        remedy=(
            "Check in this order: the package with the plugins for PLAIN and LOGIN is installed (libsasl2-modules on "
            "Debian and Ubuntu, cyrus-sasl-plain on Fedora and RHEL, cyrus-sasl-login on Alpine); nothing in "
            "smarthost_parameters puts noplaintext into smtp_sasl_tls_security_options; the plugins can be found from "
            "where Postfix runs (chroot)."
        ),
    ),
    Entry(
        key="sasl-nothing-in-common",
        kind="configuration",
        says=(
            "offered no compatible authentication mechanisms",
            "offered no supported AUTH mechanisms",
            "Unrecognized Authentication Type",
            "the server offers only",
        ),
        cause=(
            "No way to log in is left: a filter on this host takes away what the server offers, or the server offers "
            "none that takes a password (only XOAUTH2 or GSSAPI, say)."
        ),
        remedy=(
            "Check in this order: smtp_sasl_mechanism_filter is not in smarthost_parameters (a filter for plain leaves "
            "nothing where a server knows only LOGIN); smarthost_host, smarthost_port and smarthost_tls are those of "
            "the provider's submission server; the provider still takes passwords."
        ),
    ),
    Entry(
        key="sasl-plugin-failed",
        kind="configuration",
        says=(
            "cannot authenticate to server … generic failure",
            "cannot authenticate to server … bad protocol / cancel",
            "cannot authenticate to server … transient failure (e.g., weak key)",
        ),
        cause=(
            "A login plugin on this host gave up. That is known of OAuth2 plugins that cannot read, write or renew "
            "their token, and of Google's relay where its rule goes by IP address alone."
        ),
        remedy=(
            "Check in this order: the warnings just above in the log; with OAuth2, that user postfix may write the "
            "token and its folder, that a CA bundle and name service are there in the chroot, and that the token can "
            "still be renewed; with Google's relay, that its rule asks for SMTP authentication."
        ),
        link="https://github.com/tarickb/sasl-xoauth2",
    ),
    Entry(
        key="sasl-failed",
        kind="configuration",
        says=("cannot authenticate to server",),
        cause="Postfix could not log in, for a reason on this host that ends the line.",
        remedy="See the warnings just above in the log, which say more; then run the role again.",
    ),
    # ---- TLS: certificates -----------------------------------------------------------------------------------------
    Entry(
        key="certificate-untrusted",
        kind="certificate",
        says=(
            "certificate verification failed for … untrusted issuer",
            "certificate verification failed for … self-signed certificate",
            "certificate verification failed for … self signed certificate",
            "self-signed certificate",
            "self signed certificate",
            "unable to get local issuer certificate",
            "unable to get issuer certificate",
            "unable to verify the first certificate",
        ),
        cause=(
            "The server's certificate was not issued by an authority that this host trusts: its CA bundle is missing "
            "or old, or something in between (a proxy, a virus scanner) shows a certificate of its own."
        ),
        remedy=(
            "Check in this order: the package ca-certificates is installed and up to date; smarthost_ca_file, if set, "
            "is a bundle that has the issuer; smarthost_host is really the provider's; no proxy intercepts the "
            "connection (if it is yours, put its CA into smarthost_ca_file)."
        ),
    ),
    Entry(
        key="certificate-expired",
        kind="certificate",
        says=("certificate verification failed for … certificate has expired", "certificate has expired"),
        cause="The server's certificate has expired, or the clock of this host is ahead.",
        remedy=(
            "Check in this order: the date and time of this host; the package ca-certificates is up to date; the "
            "server's certificate, which only the provider can renew."
        ),
    ),
    Entry(
        key="certificate-not-yet-valid",
        kind="certificate",
        says=("certificate verification failed for … not yet valid", "certificate is not yet valid"),
        cause="The server's certificate is not valid yet, by the clock of this host; that clock is most likely behind.",
        remedy="Check in this order: the date and time of this host, and that it is kept right; then the provider.",
    ),
    Entry(
        key="certificate-other-name",
        kind="certificate",
        says=(
            "certificate verification failed for … hostname mismatch",
            "Hostname mismatch, certificate is not valid for",
            "IP address mismatch, certificate is not valid for",
        ),
        cause=(
            "The server's certificate is made out to another name than smarthost_host. That may be an alias, an IP "
            "address or an old name of the server, or not the provider's server at all."
        ),
        remedy=(
            "Set smarthost_host to the name in the provider's instructions, or leave it to the preset. If it is that "
            "name already, something intercepts the connection: ask who runs the network."
        ),
    ),
    Entry(
        key="certificate-not-verified",
        kind="certificate",
        says=(
            "Server certificate not verified",
            "Server certificate not trusted",
            "certificate verification failed for",
            "certificate verify",
        ),
        cause=(
            "The server could not prove who it is, so nothing was sent and the password stayed here. This line does "
            "not say why; the one before it in the log does."
        ),
        remedy=(
            "Check in this order: the line with certificate verification failed just above in the log; the package "
            "ca-certificates is installed, and smarthost_ca_file, if set, is a file with certificates; smarthost_host "
            "is the name in the provider's instructions; the clock of this host is right."
        ),
    ),
    Entry(
        key="tls-untrusted",
        kind="certificate",
        says=("Untrusted TLS connection established to",),
        cause=(
            "This is information and no failure: the connection was encrypted, but nobody checked that the server is "
            "the right one."
        ),
        remedy="Set smarthost_tls_security_level to secure, so that only the provider's server gets the password.",
    ),
    # ---- TLS: getting there ----------------------------------------------------------------------------------------
    Entry(
        key="starttls-required",
        kind="tls",
        says=("Must issue a STARTTLS command first",),
        cause="The server takes mail only inside TLS, and Postfix spoke to it in plain text.",
        remedy=(
            "Run the role again: it never sends without TLS. If it stays, look for something else that writes "
            "Postfix's configuration, such as smtp_tls_security_level in master.cf."
        ),
    ),
    Entry(
        key="starttls-not-offered",
        kind="tls",
        says=("TLS is required, but was not offered by host",),
        cause=(
            "The server did not offer STARTTLS, so nothing was sent. It may be the wrong port or server, or a firewall "
            "on the way that takes the offer out."
        ),
        remedy=(
            "Check in this order: smarthost_host and smarthost_port are those of the provider's submission server (not "
            "port 25); if the line names 127.0.0.1, mail goes through a filter on this host that has no TLS; the "
            "firewall or router does not inspect SMTP. Port 465 with smarthost_tls at implicit goes around such an "
            "inspection."
        ),
    ),
    Entry(
        key="starttls-refused",
        kind="temporary",
        says=("TLS is required, but host … refused to start TLS",),
        cause="The server offers TLS but did not start it now; a limit or a problem on its side is the usual reason.",
        remedy=(
            "Wait: Postfix tries again by itself. If it lasts for hours, the end of the line is the server's reason."
        ),
    ),
    Entry(
        key="tls-settings",
        kind="configuration",
        says=("TLS is required, but our TLS engine is unavailable", "client TLS configuration problem"),
        cause="Postfix could not set up TLS on this host: a TLS setting or a file that it names is not usable.",
        remedy=(
            "Look at the warnings just above in the log. Check in this order: smarthost_ca_file is a readable file "
            "with certificates; the names that begin with smtp_tls_ in smarthost_parameters."
        ),
    ),
    Entry(
        key="tls-wrong-mode",
        kind="tls",
        says=NO_TLS_THERE,
        cause="TLS was begun at once, but the server answered in plain text: this port begins with STARTTLS.",
        remedy=(
            "Set smarthost_tls to starttls (usual on 587 and 2525), or smarthost_port to the provider's port for "
            "implicit TLS (usually 465); or leave both to the preset."
        ),
    ),
    Entry(
        key="tls-handshake",
        kind="tls",
        says=("Cannot start TLS: handshake failure", "SSL_connect error to"),
        cause="TLS did not come about. The line just above in the log, with TLS library problem, says why.",
        remedy=(
            "Check in this order: smarthost_tls fits smarthost_port (implicit on 465, starttls on 587; wrong version "
            "number in the log means that it does not); the names that begin with smtp_tls_ in smarthost_parameters, "
            "such as the protocols; the network, where the connection broke off."
        ),
    ),
    Entry(
        key="tls-no-greeting",
        kind="tls",
        says=(
            "lost connection with … while receiving the initial server greeting",
            "conversation with … timed out while receiving the initial server greeting",
            "Connection unexpectedly closed",
        ),
        cause=(
            "The server took the connection but did not greet. Mostly this host waits for plain text on a port where "
            "TLS begins at once."
        ),
        remedy=(
            "Check in this order: smarthost_tls fits smarthost_port (implicit on 465, 2465, 8465 and 443, starttls on "
            "587 and 2525); the provider offers that port at all; no firewall or limit at the provider cuts the "
            "connection."
        ),
    ),
    Entry(
        key="tls-wrapper-needed",
        kind="tls",
        says=('SMTPS wrappermode (TCP port 465) requires setting "smtp_tls_wrappermode = yes"',),
        cause="On port 465 TLS begins at once, but Postfix is set to begin in plain text.",
        remedy="Set smarthost_tls to implicit, or leave it to the preset, and run the role again.",
    ),
    Entry(
        key="tls-wrapper-without-level",
        kind="configuration",
        says=('smtp_tls_wrappermode requires "smtp_tls_security_level = encrypt"',),
        cause="Postfix is set to begin with TLS but not to insist on it, so it does not send at all.",
        remedy=(
            "Run the role again: smarthost_tls_security_level is never weaker than that. If it stays, look for "
            "something else that writes Postfix's configuration, such as master.cf."
        ),
    ),
    # ---- Network and queue -----------------------------------------------------------------------------------------
    Entry(
        key="host-not-found",
        kind="network",
        says=(
            "Host or domain name not found. Name service error for name=",
            "unable to look up host",
            "Name or service not known",
            "No address associated with hostname",
            "nodename nor servname provided",
        ),
        cause="The name of the server does not exist, as far as this host can tell.",
        remedy=(
            "Check in this order: the spelling of smarthost_host and smarthost_region; the name service of this host; "
            "on a host where Postfix runs in a chroot, that /var/spool/postfix/etc/resolv.conf is up to date (a "
            "restart of Postfix copies it)."
        ),
    ),
    Entry(
        key="name-service-down",
        kind="network",
        says=(
            "Host or domain name not found. Name service error for name=… Host not found, try again",
            "Temporary failure in name resolution",
            "unable to look up host … Temporary failure in name resolution",
        ),
        cause="The name service (DNS) did not answer, so the server's address is not known for the moment.",
        remedy=(
            "Check in this order: this host has a network; its name servers answer; on a host where Postfix runs in a "
            "chroot, that /var/spool/postfix/etc/resolv.conf is up to date (a restart of Postfix copies it). Postfix "
            "tries again by itself."
        ),
    ),
    Entry(
        key="relay-without-brackets",
        kind="configuration",
        says=(
            "Host or domain name not found. Name service error for name=… type=MX",
            "Host or domain name not found. Name service error for name=… type=MX: Host not found, try again",
        ),
        cause=(
            "Postfix asked for the mail server of a domain (MX) instead of the relay's own address: the relay stands "
            "without brackets in its configuration."
        ),
        remedy=(
            "Run the role again: it writes the relay in brackets. If it stays, look for something else that sets a "
            "relayhost, a transport or a sender-dependent relay."
        ),
    ),
    Entry(
        key="relayhost-problem",
        kind="configuration",
        says=("relayhost configuration problem",),
        cause=(
            "The relay's name does not exist or its server refuses for good. Postfix keeps the mail, because the relay "
            "may just be set wrong."
        ),
        remedy="Check in this order: smarthost_host and smarthost_region; smarthost_port; the line after this one.",
    ),
    Entry(
        key="server-not-tried",
        kind="configuration",
        says=("server unavailable or unable to receive mail",),
        cause=(
            "Postfix tried no address of the server. That seems to follow from a setting that it warned of before, "
            "such as wrapper mode without TLS."
        ),
        remedy="Look at the warnings just above in the log; then run the role again.",
    ),
    Entry(
        key="connection-timed-out",
        kind="network",
        says=("timed out",),
        cause=(
            "The server did not answer in time. Mostly the network does not let this port out: many providers of "
            "connections and servers block 25, some 587."
        ),
        remedy=(
            "Check in this order: another port of the provider in smarthost_port (465, 2525); smarthost_tls fits the "
            "port (implicit on 465, starttls on 587 and 2525); the firewall of this host and of its network; for "
            "Fastmail, smarthost_host smtps-proxy.fastmail.com on port 443. Postfix tries again by itself."
        ),
    ),
    Entry(
        key="connection-refused",
        kind="network",
        says=("Connection refused",),
        cause="Nothing takes connections at that port, or a firewall refuses them.",
        remedy=(
            "Check in this order: smarthost_host and smarthost_port are those of the provider; the firewall of this "
            "host and of its network; another port of the provider."
        ),
    ),
    Entry(
        key="network-unreachable",
        kind="network",
        says=("Network is unreachable", "No route to host"),
        cause=(
            "There is no way from this host to that address. With an IPv6 address (one with colons), it mostly has no "
            "IPv6 connection to the internet."
        ),
        remedy=(
            "Check in this order: if the address is IPv6, set inet_protocols to ipv4 or smtp_address_preference to "
            "ipv4 in smarthost_parameters; the network and the default route of this host; its firewall."
        ),
    ),
    Entry(
        key="connection-lost",
        kind="network",
        says=("lost connection with", "Connection reset by peer"),
        cause="The connection broke off: the network failed, or the server or a firewall closed it.",
        remedy=(
            "Wait: Postfix tries again by itself. If it lasts, check in this order: smarthost_tls fits smarthost_port; "
            "the firewall; how many connections the provider allows at once."
        ),
    ),
    Entry(
        key="too-many-connections",
        kind="limit",
        says=("Too many concurrent SMTP connections",),
        cause="More connections to the provider were open at once than it allows.",
        remedy=(
            "Wait: Postfix tries again by itself. If it comes back, lower smtp_destination_concurrency_limit in "
            "smarthost_parameters."
        ),
    ),
    Entry(
        key="not-through-the-relay",
        kind="configuration",
        says=("using to send mail is not authorized to send email directly to our servers",),
        cause=(
            "The mail went straight to Google's mail server for incoming mail and not through the provider: this "
            "host's address is not one that mail servers accept mail from."
        ),
        remedy=(
            "Run the role again, which sets relayhost; then see in the log that mail leaves through the provider, and "
            "look for something else that writes Postfix's configuration."
        ),
    ),
    Entry(
        key="message-too-large",
        kind="size",
        says=("message size … exceeds size limit … of server", "message size exceeds fixed"),
        cause="The mail is larger than the server takes; attachments grow by a third when they are sent.",
        remedy=(
            "Send less in one mail. Set message_size_limit in smarthost_parameters to the server's limit, where the "
            "preset has none, so that the sender learns of it at once."
        ),
    ),
    Entry(
        key="destination-suspended",
        kind="temporary",
        says=("delivery temporarily suspended",),
        cause=(
            "Postfix makes a pause with this server after earlier failures. The words after the colon are the real "
            "reason."
        ),
        remedy="Look in the log for the failures before this one and cure those; Postfix tries again by itself.",
    ),
)


# ---- Matching ------------------------------------------------------------------------------------------------------

# How much an entry's claim to a sentence counts, where two sentences ask for as much text.
_OWN, _ANYBODY, _FOREIGN = 3, 2, 1

# What Postfix puts around the real reason. It counts only where there is nothing known inside.
_FRAMES = re.compile(r"delivery temporarily suspended:?|sasl authentication failed; server \S+ said:")
# The codes at the beginning of each line of a reply; Postfix and Python join the lines.
_CODES = re.compile(r"(?<!\S)(?:[245]\d\d[- ](?:[245]\.\d{1,3}\.\d{1,3}(?!\S))?|[245]\.\d{1,3}\.\d{1,3}(?!\S))")


@dataclass(frozen=True)
class _Sentence:
    """One sentence of the table: the texts around its gaps, their length, and the entries that claim it."""

    parts: tuple[str, ...]
    length: int
    claims: tuple[tuple[Entry, bool], ...]  # the entry, and whether the sentence means it wherever it turns up

    def occurs_in(self, text: str) -> bool:
        """Whether the parts are in the text, one after the other."""
        position = 0
        for part in self.parts:
            position = text.find(part, position)
            if position < 0:
                return False
            position += len(part)
        return True


def _plain(text: str) -> str:
    """Lower case, one space between words, one kind of apostrophe."""
    return " ".join(text.replace("’", "'").lower().split())


def _unframed(plain: str) -> str:
    """Without what Postfix put around a reply, and without the codes of the reply."""
    return _plain(_CODES.sub(" ", _FRAMES.sub(" ", plain)))


def _index(table: Iterable[Entry]) -> tuple[_Sentence, ...]:
    """The table by sentence, so that each is looked for once; those that ask for the most text come first."""
    claims: dict[tuple[str, ...], list[tuple[Entry, bool]]] = {}
    for entry in table:
        for sentences, everywhere in ((entry.says, True), (entry.says_there, False)):
            for said in sentences:
                parts = tuple(part for part in (_plain(part) for part in said.split("…")) if part)
                claims.setdefault(parts, []).append((entry, everywhere))
    sentences_ = [
        _Sentence(parts, sum(len(part) for part in parts), tuple(entries)) for parts, entries in claims.items()
    ]
    return tuple(sorted(sentences_, key=lambda sentence_: -sentence_.length))


_SENTENCES = _index(TABLE)


def _standing(entry: Entry, everywhere: bool, provider: str | None) -> int:
    """What the entry's claim counts for this provider; 0: nothing."""
    if provider in entry.providers:
        return _OWN
    if not everywhere:
        return 0
    return _FOREIGN if entry.providers else _ANYBODY


def _match(plain: str, provider: str | None, sentences: Iterable[_Sentence]) -> Entry | None:
    """The entry whose sentence asks for the most text; between equals, the one with the better standing."""
    best: Entry | None = None
    best_rank = (0, 0)
    for candidate in sentences:
        if candidate.length < best_rank[0]:
            break
        if candidate.occurs_in(plain):
            for entry, everywhere in candidate.claims:
                standing = _standing(entry, everywhere, provider)
                if standing and (candidate.length, standing) > best_rank:
                    best, best_rank = entry, (candidate.length, standing)
    return best


def _find(text: str, provider: str | None, sentences: tuple[_Sentence, ...] = _SENTENCES) -> Entry | None:
    plain = _plain(text)
    return _match(_unframed(plain), provider, sentences) or _match(plain, provider, sentences)


def explain(text: str, provider: str | None = None) -> Failure | None:
    """What a reply or a log line means; None where nobody knows, so that the caller shows it as it is.

    The provider is the name of its preset; None, custom or an unknown one leave what any server may say.
    """
    entry = _find(text, provider)
    if entry is None:
        return None
    return Failure(key=entry.key, cause=entry.cause, remedy=entry.remedy, kind=entry.kind, link=entry.link)


def sentence(text: str, provider: str | None = None) -> str:
    """The same for people: what happened, why and what to do; a text that is not known, unchanged."""
    failure = explain(text, provider)
    return f"{failure.cause} {failure.remedy}" if failure else text
