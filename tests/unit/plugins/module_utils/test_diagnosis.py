"""What replies of providers and lines of Postfix's log mean: every sentence that is known, as it is met.

A case is the preset, the whole line and the failure that it has to be.
"""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils import diagnosis
from hypothesis import given
from hypothesis import strategies as st

HOSTS = {
    "fastmail": "smtp.fastmail.com[103.168.172.45]",
    "icloud": "smtp.mail.me.com[17.42.251.62]",
    "gmail": "smtp.gmail.com[142.250.102.109]",
    "google_relay": "smtp-relay.gmail.com[142.250.102.28]",
    "outlook": "smtp-mail.outlook.com[52.98.243.6]",
    "microsoft365": "smtp.office365.com[52.97.149.82]",
    "mailgun": "smtp.eu.mailgun.org[34.160.63.108]",
    "brevo": "smtp-relay.brevo.com[1.179.112.195]",
    "ses": "email-smtp.eu-central-1.amazonaws.com[3.72.21.12]",
    "sendgrid": "smtp.sendgrid.net[167.89.115.117]",
    "smtp2go": "mail.smtp2go.com[43.228.184.6]",
    "zoho": "smtp.zoho.eu[185.230.214.164]",
}
ANY_HOST = "smtp.example.org[2001:db8::25]"


def result(reason: str, dsn: str = "5.7.1", status: str = "bounced") -> str:
    """The line in which Postfix says what became of a mail."""
    return (
        "Nov 21 09:15:02 nas postfix/smtp[2114]: 4XyZ1k3Qp2z5: to=<casey@example.net>, orig_to=<root>, "
        f"relay=smtp.example.org[192.0.2.25]:587, delay=1.4, delays=0.05/0.03/1.2/0.12, dsn={dsn}, "
        f"status={status} ({reason})"
    )


def login(reply: str, provider: str | None = None) -> str:
    """A refusal of the login, as Postfix logs it."""
    host = HOSTS.get(provider or "", ANY_HOST)
    return result(f"SASL authentication failed; server {host} said: {reply}", "4.7.8", "deferred")


def said(reply: str, command: str = "MAIL FROM", provider: str | None = None) -> str:
    """A refusal of the mail, as Postfix logs it."""
    return result(f"host {HOSTS.get(provider or '', ANY_HOST)} said: {reply} (in reply to {command} command)")


def not_sent(reason: str, dsn: str = "4.4.1") -> str:
    """A mail that did not even get to the server."""
    return result(reason, dsn, "deferred")


def warned(text: str) -> str:
    """A warning of Postfix's client."""
    return f"Nov 21 09:15:02 nas postfix/smtp[2114]: warning: {text}"


END = "end of DATA"
GOOGLE_REFUSED = (
    "535-5.7.8 Username and Password not accepted. For more information, go to 535 5.7.8  "
    "https://support.google.com/mail/?p=BadCredentials 5b1f17b1804b1-48d1e8b2c3asm12345678f8f.12 - gsmtp"
)
MICROSOFT_END = "[AM0PR02CA0123.eurprd02.prod.outlook.com 2026-11-21T08:15:02.123Z 08DE1234567890AB]"
MICROSOFT_NO = "535 5.7.139 Authentication unsuccessful"
SEND_AS_DENIED = (
    "554 5.2.252 SendAsDenied; nas@bobs.org not allowed to send as root@nas.lan; "
    "STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message"
)
SANDBOX = (
    "421 Domain sandbox0f1e2d.mailgun.org is not allowed to send: Sandbox subdomains are for test purposes only. "
    "Please add your own domain or add the address to authorized recipients in Account Settings."
)
NAME_SERVICE = "Host or domain name not found. Name service error for name="

FASTMAIL = {
    "login": (
        "fastmail",
        login("535 5.7.0 Incorrect username, password or access token", "fastmail"),
        "fastmail-login-refused",
    ),
    "login, unknown provider": (
        None,
        "535 5.7.0 Incorrect username, password or access token",
        "fastmail-login-refused",
    ),
    "login, generic sentence": ("fastmail", login("535 5.7.8 Error: authentication failed:"), "fastmail-login-refused"),
    "header From": (
        "fastmail",
        said("551 5.7.1 Not authorised to send from this header address", END, "fastmail"),
        "fastmail-header-from",
    ),
    "header From, American": (
        None,
        said("551 5.7.1 Not authorized to send from this header address", END),
        "fastmail-header-from",
    ),
    "several From": (
        "fastmail",
        said("551 5.7.1 Multiple addresses in a From header is not allowed", END, "fastmail"),
        "fastmail-several-from",
    ),
    "too many logins": (
        "fastmail",
        login('451 Already reached per-10 minute limit for logins by "casey@fastmail.com" of 500', "fastmail"),
        "fastmail-login-limit",
    ),
    "locked": (
        "fastmail",
        said("554 5.7.1 <casey@fastmail.com>: Client host rejected: Address locked or deactivated", "RCPT TO"),
        "fastmail-account-locked",
    ),
    "not logged in": (
        "fastmail",
        said("554 5.7.1 <casey@example.net>: Relay access denied", "RCPT TO", "fastmail"),
        "not-logged-in",
    ),
}

ICLOUD = {
    "sender": (
        "icloud",
        said("550 5.7.0 From address is not one of your addresses", "MAIL FROM", "icloud"),
        "icloud-sender-refused",
    ),
    "daily limit": (
        "icloud",
        said("550 5.7.1 You have exceeded your daily sending limit. Please try again later.", END, "icloud"),
        "icloud-daily-limit",
    ),
    "daily limit, unknown provider": (
        None,
        said("550 5.7.1 bob@icloud.com: You have exceeded your daily sending limit. Please try again later.", END),
        "icloud-daily-limit",
    ),
    "login": ("icloud", login("535 5.7.8 Error: authentication failed", "icloud"), "icloud-login-refused"),
    "no permission": (
        "icloud",
        said("550 5.7.1 User has no permission to send mail through this server.", "MAIL FROM", "icloud"),
        "icloud-no-permission",
    ),
    "implicit TLS on 587": (
        "icloud",
        "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)",
        "icloud-wrong-tls",
    ),
    "implicit TLS on 587, Postfix": (
        "icloud",
        warned(
            "TLS library problem: error:0A00010B:SSL routines::wrong version number:../ssl/record/ssl3_record.c:354:"
        ),
        "icloud-wrong-tls",
    ),
    "implicit TLS on 587, OpenSSL 3.2": ("icloud", "[SSL] record layer failure (_ssl.c:1000)", "icloud-wrong-tls"),
    "implicit TLS on 587, long packet": (
        "icloud",
        "[SSL: PACKET_LENGTH_TOO_LONG] packet length too long (_ssl.c:1000)",
        "icloud-wrong-tls",
    ),
}

GOOGLE = {
    "login": ("gmail", login(GOOGLE_REFUSED, "gmail"), "gmail-login-refused"),
    "login, unknown provider": (None, login(GOOGLE_REFUSED, "gmail"), "gmail-login-refused"),
    "login, custom": ("custom", login(GOOGLE_REFUSED, "gmail"), "gmail-login-refused"),
    "login, as Python joins it": (
        "gmail",
        "535 5.7.8 Username and Password not accepted. For more information, go to 5.7.8 "
        "https://support.google.com/mail/?p=BadCredentials a640c23a62f3a-b7654f - gsmtp",
        "gmail-login-refused",
    ),
    "login at the relay": ("google_relay", login(GOOGLE_REFUSED, "google_relay"), "google-relay-login-refused"),
    "app password": (
        "gmail",
        login(
            "534-5.7.9 Application-specific password required. For more information, go to 534 5.7.9  "
            "https://support.google.com/mail/?p=InvalidSecondFactor 2adb3069b0e04-5a8sm123.11 - gsmtp",
            "gmail",
        ),
        "gmail-app-password-required",
    ),
    "browser": (
        "gmail",
        login(
            "534-5.7.14 <https://accounts.google.com/signin/continue?sarp=1&scc=1&plt=AKgnsbt> Please log in via your "
            "web browser and then try again. 534-5.7.14  Learn more at 534 5.7.14  "
            "https://support.google.com/mail/answer/78754 q3sm1234.1 - gsmtp",
            "gmail",
        ),
        "gmail-browser-sign-in",
    ),
    "browser, broken between words": (
        "gmail",
        login(
            "534-5.7.14 <https://accounts.google.com/signin/continue?sarp=1> Please 534-5.7.14 log in via 534-5.7.14 "
            "your web browser and 534-5.7.14 then try again. 534 5.7.14 q3sm1234.1 - gsmtp",
            "gmail",
        ),
        "gmail-browser-sign-in",
    ),
    "browser, broken as Python joins it": (
        "gmail",
        "534 5.7.14 <https://accounts.google.com/signin/continue?sarp=1> Please 5.7.14 log in via 5.7.14 your web "
        "browser and 5.7.14 then try again. 5.7.14 q3sm1234.1 - gsmtp",
        "gmail-browser-sign-in",
    ),
    "too many logins": (
        "gmail",
        login(
            "454 4.7.0 Too many login attempts, please try again later. 5b1f17b1804b1-4dsm123.5 - gsmtp",
            "gmail",
        ),
        "gmail-login-limit",
    ),
    "temporary": (
        "gmail",
        said("421 4.3.0 Temporary System Problem.  Try again later (10). 9si123.1 - gsmtp", "MAIL FROM", "gmail"),
        "gmail-temporary",
    ),
    "HELO": (
        "google_relay",
        not_sent(
            "host smtp-relay.gmail.com[142.250.102.28] refused to talk to me: 421-4.7.0 Try again later, closing "
            "connection. (EHLO) 421-4.7.0 For more information, go to 421 4.7.0  "
            "https://support.google.com/a/answer/3221692 5b1f17b1804b1 - gsmtp"
        ),
        "google-relay-helo",
    ),
    "daily limit": (
        "gmail",
        said(
            "550-5.4.5 Daily user sending limit exceeded. For more information on Gmail 550-5.4.5 sending limits go to "
            "550 5.4.5  https://support.google.com/a/answer/166852 q3sm1234.1 - gsmtp",
            END,
            "gmail",
        ),
        "gmail-daily-limit",
    ),
    "daily quota of a user": (
        "gmail",
        said("550 5.4.5 Daily user sending quota exceeded. q3sm1234.1 - gsmtp", END, "gmail"),
        "gmail-daily-limit",
    ),
    "daily quota, older": (
        None,
        said("550 5.4.5 Daily sending quota exceeded. q3sm1234.1 - gsmtp", END),
        "gmail-daily-limit",
    ),
    "daily relay limit of a user": (
        "google_relay",
        said("550 5.4.5 Daily SMTP relay limit exceeded for user. q3sm1234.1 - gsmtp", END, "google_relay"),
        "gmail-daily-limit",
    ),
    "peak of the organization": (
        "google_relay",
        said("450 4.2.1 Peak SMTP relay limit exceeded for customer. q3sm1234.1 - gsmtp", END, "google_relay"),
        "google-relay-limit",
    ),
    "day of the organization": (
        "google_relay",
        said("550 5.7.1 Daily SMTP relay limit exceeded for customer. q3sm1234.1 - gsmtp", END, "google_relay"),
        "google-relay-limit",
    ),
    "relay denied": (
        "google_relay",
        said("550 5.7.0 Mail relay denied [203.0.113.7]. q3sm1234.1 - gsmtp", "RCPT TO", "google_relay"),
        "google-relay-denied",
    ),
    "relay credentials": (
        "google_relay",
        said("550-5.7.1 Invalid credentials for relay [203.0.113.7]. q3sm1234.1 - gsmtp", "RCPT TO", "google_relay"),
        "google-relay-denied",
    ),
    "sending denied": ("gmail", said("550 5.7.0 Mail Sending denied. q3sm12 - gsmtp", END), "google-sending-denied"),
    "STARTTLS": (
        "gmail",
        said("530 5.7.0 Must issue a STARTTLS command first. q3sm1234.1 - gsmtp", "MAIL FROM", "gmail"),
        "starttls-required",
    ),
    "not logged in": (
        "gmail",
        said(
            "530-5.7.0 Authentication Required. For more information, go to 530 5.7.0  "
            "https://support.google.com/mail/?p=WantAuthError q3sm1234.1 - gsmtp",
            "MAIL FROM",
            "gmail",
        ),
        "not-logged-in",
    ),
    "not logged in, older": (
        "gmail",
        said("530-5.5.1 Authentication Required. Learn more at 530 5.5.1 https://x - gsmtp"),
        "not-logged-in",
    ),
    "mechanism": (
        "gmail",
        login("504 5.7.4 Unrecognized Authentication Type q3sm1234.1 - gsmtp", "gmail"),
        "sasl-nothing-in-common",
    ),
    "size": (
        "gmail",
        said(
            "552-5.3.4 Your message exceeded Google's message size limits. To view our message 552-5.3.4 size "
            "guidelines, go to 552 5.3.4  https://support.google.com/mail/?p=MaxSizeError q3sm12 - gsmtp",
            END,
            "gmail",
        ),
        "gmail-too-large",
    ),
    "size, other apostrophe": (
        None,
        said("552-5.2.3 Your message exceeded Google’s message size limits.", END),
        "gmail-too-large",
    ),
    "straight to Google": (
        "gmail",
        said(
            "550-5.7.1 [203.0.113.7] The IP you're using to send mail is not authorized to 550-5.7.1 send email "
            "directly to our servers. Please use the SMTP relay at your 550-5.7.1 service provider instead. 550 5.7.1 "
            "https://support.google.com/mail/?p=NotAuthorizedError q3si12 - gsmtp",
            END,
        ),
        "not-through-the-relay",
    ),
    "relay by IP address": (
        "google_relay",
        not_sent(
            "SASL authentication failed; cannot authenticate to server smtp-relay.gmail.com[142.250.102.28]: generic "
            "failure",
            "4.7.0",
        ),
        "google-relay-by-address",
    ),
}

MICROSOFT = {
    "basic auth": (
        "microsoft365",
        login(f"{MICROSOFT_NO}, basic authentication is disabled. {MICROSOFT_END}", "microsoft365"),
        "microsoft-basic-auth-disabled",
    ),
    "basic auth, unknown provider": (
        None,
        login(f"{MICROSOFT_NO}, basic authentication is disabled. {MICROSOFT_END}"),
        "microsoft-basic-auth-disabled",
    ),
    "basic auth at Outlook.com": (
        "outlook",
        login(f"{MICROSOFT_NO}, basic authentication is disabled. {MICROSOFT_END}", "outlook"),
        "outlook-no-passwords",
    ),
    "tenant": (
        "microsoft365",
        login(
            f"{MICROSOFT_NO}, SmtpClientAuthentication is disabled for the Tenant. Visit "
            f"https://aka.ms/smtp_auth_disabled for more information. {MICROSOFT_END}",
            "microsoft365",
        ),
        "microsoft365-smtp-auth-off-tenant",
    ),
    "mailbox": (
        "microsoft365",
        login(
            f"{MICROSOFT_NO}, SmtpClientAuthentication is disabled for the Mailbox. Visit "
            f"https://aka.ms/smtp_auth_disabled for more information. {MICROSOFT_END}",
            "microsoft365",
        ),
        "microsoft365-smtp-auth-off-mailbox",
    ),
    "mailbox at Outlook.com": (
        "outlook",
        login(f"{MICROSOFT_NO}, SmtpClientAuthentication is disabled for the Mailbox. {MICROSOFT_END}", "outlook"),
        "outlook-no-passwords",
    ),
    "credentials": (
        "microsoft365",
        login(f"{MICROSOFT_NO}, the user credentials were incorrect. {MICROSOFT_END}", "microsoft365"),
        "microsoft-credentials",
    ),
    "credentials at Outlook.com": (
        "outlook",
        login(f"{MICROSOFT_NO}, the user credentials were incorrect. {MICROSOFT_END}", "outlook"),
        "outlook-no-passwords",
    ),
    "criteria": (
        "microsoft365",
        login(
            f"{MICROSOFT_NO}, the request did not meet the criteria to be authenticated successfully. Contact your "
            f"administrator. {MICROSOFT_END}",
            "microsoft365",
        ),
        "microsoft-criteria",
    ),
    "criteria at Outlook.com": (
        "outlook",
        login(f"{MICROSOFT_NO}, the request did not meet the criteria to be authenticated successfully.", "outlook"),
        "outlook-no-passwords",
    ),
    "security defaults": (
        "microsoft365",
        login(
            f"{MICROSOFT_NO}, user is locked by your organization's security defaults policy. Contact your "
            f"administrator. {MICROSOFT_END}",
            "microsoft365",
        ),
        "microsoft-security-defaults",
    ),
    "federation": (
        "microsoft365",
        login(f"{MICROSOFT_NO}, the federated STS is not reachable. {MICROSOFT_END}", "microsoft365"),
        "microsoft-federation",
    ),
    "federation, another beginning": (
        None,
        login("535 5.7.139 Error while contacting the federated STS"),
        "microsoft-federation",
    ),
    "login": (
        "microsoft365",
        login(f"535 5.7.3 Authentication unsuccessful {MICROSOFT_END}", "microsoft365"),
        "microsoft-login-refused",
    ),
    "login, unknown provider": (
        None,
        login(f"535 5.7.3 Authentication unsuccessful {MICROSOFT_END}"),
        "microsoft-login-refused",
    ),
    "login at Outlook.com": (
        "outlook",
        login(f"535 5.7.3 Authentication unsuccessful {MICROSOFT_END}", "outlook"),
        "outlook-no-passwords",
    ),
    "login, a tail nobody knows": (
        "microsoft365",
        login(f"{MICROSOFT_NO}, the moon is full. {MICROSOFT_END}", "microsoft365"),
        "microsoft-login-refused",
    ),
    "basic auth removed": (
        "microsoft365",
        login("550 5.7.30 Basic authentication is not supported for Client Submission.", "microsoft365"),
        "microsoft-basic-auth-removed",
    ),
    "basic auth removed at Outlook.com": (
        "outlook",
        login("550 5.7.30 Basic authentication is not supported for Client Submission.", "outlook"),
        "outlook-no-passwords",
    ),
    "not logged in": (
        "microsoft365",
        said(f"530 5.7.57 Client not authenticated to send mail. {MICROSOFT_END}", "MAIL FROM", "microsoft365"),
        "not-logged-in",
    ),
    "not logged in, older": (
        "microsoft365",
        said("530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM"),
        "not-logged-in",
    ),
    "send as": ("microsoft365", said(SEND_AS_DENIED, END, "microsoft365"), "microsoft-send-as-denied"),
    "send as, older": (
        "microsoft365",
        said(
            "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to "
            "process message due to a permanent exception",
            END,
        ),
        "microsoft-send-as-denied",
    ),
    "send as, permission": (
        "microsoft365",
        said("550 5.7.60 SMTP; Client does not have permissions to send as this sender", END),
        "microsoft-send-as-denied",
    ),
    "connections": (
        "microsoft365",
        said("432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending", END),
        "microsoft-connections",
    ),
    "threads": (
        "microsoft365",
        said("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", END, "microsoft365"),
        "microsoft-connections",
    ),
    "recipients": (
        "microsoft365",
        said(
            "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException."
            "MapiExceptionSubmissionQuotaExceeded; Failed to process message",
            END,
        ),
        "microsoft-daily-limit",
    ),
    "full": (
        "microsoft365",
        said(
            "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionQuotaExceeded",
            END,
        ),
        "microsoft-mailbox-full",
    ),
    "blocked": (
        "microsoft365",
        said(f"550 5.1.8 Access denied, bad outbound sender AS(42004) {MICROSOFT_END}", END),
        "microsoft-sender-blocked",
    ),
    "channel": (
        "microsoft365",
        said("454 4.7.0 Failed to establish appropriate TLS channel: Access Denied", "MAIL FROM"),
        "microsoft-tls-channel",
    ),
    "token": (
        "microsoft365",
        login("501 5.5.127 Authentication token is not acceptable. Token will expire soon"),
        "microsoft-token-expires",
    ),
}

SERVICES = {
    "Mailgun: login": (
        "mailgun",
        login("535 5.7.0 Mailgun is not loving your login or password", "mailgun"),
        "mailgun-login-refused",
    ),
    "Mailgun: login, unknown provider": (
        None,
        login("535 5.7.0 Mailgun is not loving your login or password"),
        "mailgun-login-refused",
    ),
    "Mailgun: sandbox": ("mailgun", said(SANDBOX, END, "mailgun"), "mailgun-sandbox"),
    "Mailgun: sandbox, older": (
        "mailgun",
        said("554 Sandbox subdomains are for test purposes only. Please add your own domain.", END, "mailgun"),
        "mailgun-sandbox",
    ),
    "Mailgun: relay": ("mailgun", said("550 5.7.1 Relaying denied", "RCPT TO", "mailgun"), "mailgun-relay-denied"),
    "Mailgun: relay access": ("mailgun", said("554 Relay access denied", "RCPT TO"), "mailgun-relay-denied"),
    "Brevo: login": ("brevo", login("535 5.7.8 Authentication failed", "brevo"), "brevo-login-refused"),
    "Brevo: login, other sentence": (
        "brevo",
        login("535 5.7.0 Invalid login or password", "brevo"),
        "brevo-login-refused",
    ),
    "Brevo: address": ("brevo", login("525 5.7.1 Unauthorized IP address", "brevo"), "brevo-ip-address"),
    "Brevo: not activated": (
        "brevo",
        said("502 5.7.0 Your SMTP account is not yet activated. Contact us.", "MAIL FROM", "brevo"),
        "brevo-not-activated",
    ),
    "Brevo: not logged in": ("brevo", said("502 5.7.0 Please authenticate first", "MAIL FROM"), "not-logged-in"),
    "somebody: login or password": (None, login("535 5.7.0 Invalid login or password"), "login-refused"),
    "SES: login": ("ses", login("535 Authentication Credentials Invalid", "ses"), "ses-login-refused"),
    "SES: sender": (
        "ses",
        said(
            "554 Message rejected: Email address is not verified. The following identities failed the check in region "
            "EU-CENTRAL-1: root@nas.lan",
            END,
            "ses",
        ),
        "ses-not-verified",
    ),
    "SES: sender, first half": (
        None,
        said("554 Message rejected: Email address is not verified.", END),
        "ses-not-verified",
    ),
    "SES: right": (
        "ses",
        said(
            "554 Access denied: User `arn:aws:iam::123456789012:user/nas' is not authorized to perform "
            "`ses:SendRawEmail' on resource `arn:aws:ses:eu-central-1:123456789012:identity/bobs.org'",
            END,
            "ses",
        ),
        "ses-not-authorized",
    ),
    "SES: right, without quotes": (
        None,
        said("554 Access denied: User arn:aws:iam::1:user/nas is not authorized to perform ses:SendRawEmail on x", END),
        "ses-not-authorized",
    ),
    "SES: rate": (
        "ses",
        said("454 Throttling failure: Maximum sending rate exceeded.", END, "ses"),
        "ses-rate",
    ),
    "SES: rate, alone": ("ses", said("454 Maximum sending rate exceeded.", END, "ses"), "ses-rate"),
    "SES: quota": (
        None,
        said("454 Throttling failure: Daily message quota exceeded.", END, "ses"),
        "ses-daily-limit",
    ),
    "SES: quota, alone": ("ses", said("454 Daily message quota exceeded.", END, "ses"), "ses-daily-limit"),
    "SES: connections": (
        "ses",
        not_sent(f"host {HOSTS['ses']} refused to talk to me: 421 Too many concurrent SMTP connections"),
        "ses-connections",
    ),
    "somebody: connections": (
        "custom",
        not_sent(f"host {ANY_HOST} refused to talk to me: 421 Too many concurrent SMTP connections; try again later"),
        "too-many-connections",
    ),
    "SES: temporary": ("ses", said("451 Temporary service failure", END, "ses"), "ses-temporary"),
    "SES: slow": ("ses", said("451 Timeout waiting for data from client", END, "ses"), "ses-temporary"),
    "SES: not logged in": ("ses", said("530 Authentication required", "MAIL FROM", "ses"), "not-logged-in"),
    "SES: STARTTLS": (
        "ses",
        said("530 Must issue a STARTTLS command first", "MAIL FROM", "ses"),
        "starttls-required",
    ),
}

OTHERS = {
    "SendGrid: login": (
        "sendgrid",
        login("535 Authentication failed: Bad username / password", "sendgrid"),
        "sendgrid-login-refused",
    ),
    "SendGrid: credits": (
        "sendgrid",
        login("451 Authentication failed: Maximum credits exceeded", "sendgrid"),
        "sendgrid-credits",
    ),
    "SendGrid: not logged in": (
        "sendgrid",
        said("550 Unauthenticated senders not allowed", "MAIL FROM", "sendgrid"),
        "sendgrid-not-logged-in",
    ),
    "SendGrid: sender": (
        "sendgrid",
        said(
            "550 The from address does not match a verified Sender Identity. Mail cannot be sent until this error is "
            "resolved. Visit https://sendgrid.com/docs/for-developers/sending-email/sender-identity/",
            END,
            "sendgrid",
        ),
        "sendgrid-sender-refused",
    ),
    "SMTP2GO: login": ("smtp2go", login("535 Incorrect authentication data", "smtp2go"), "smtp2go-login-refused"),
    "SMTP2GO: not logged in": (
        "smtp2go",
        said("550 Relay access denied - please authenticate", "RCPT TO", "smtp2go"),
        "not-logged-in",
    ),
    "SMTP2GO: sender": (
        "smtp2go",
        said("550 From header sender domain not verified (nas.lan)", END, "smtp2go"),
        "smtp2go-sender-refused",
    ),
    "Zoho: sender": ("zoho", said("553 Relaying disallowed as root@nas.lan", END, "zoho"), "zoho-sender-refused"),
    "Zoho: activity": (
        "zoho",
        said("550 5.4.6 Unusual sending activity detected. Please try after sometime", END, "zoho"),
        "zoho-unusual-activity",
    ),
    "Yahoo: too often": (
        "yahoo",
        login("535 5.7.0 (#AUTH005) Too many bad auth attempts."),
        "yahoo-login-limit",
    ),
    "GMX: login": ("gmx", login("535 Authentication credentials invalid"), "gmx-login-refused"),
    "GMX: sender": (
        "gmx",
        said("554-Transaction failed 554-Reject due to policy restrictions. 554 For explanation visit https://x", END),
        "gmx-sender-refused",
    ),
    "IONOS: limit": ("custom", said("450 Mail send limit exceeded.", "MAIL FROM"), "ionos-limit"),
    "Resend: login": ("resend", login("535 Authentication credentials invalid"), "resend-login-refused"),
    "somebody: credentials": ("custom", login("535 Authentication credentials invalid"), "login-refused"),
    "Postfix server: sender": (
        "migadu",
        said("553 5.7.1 <root@nas.lan>: Sender address rejected: not owned by user bob@bobs.org", "RCPT TO"),
        "sender-refused",
    ),
}

SASL = {
    "refused, Postfix and Dovecot": (
        "custom",
        login("535 5.7.8 Error: authentication failed: (reason unavailable)"),
        "login-refused",
    ),
    "refused, short": (None, "535 Authentication failed", "login-refused"),
    "refused, several lines": (
        None,
        login("535-5.7.8 Error: 535-5.7.8 authentication 535 5.7.8 failed"),
        "login-refused",
    ),
    "refused, Exim": ("no-such-preset", login("535 Incorrect authentication data"), "login-refused"),
    "refused, unknown words": (None, login("535 5.7.8 Nope"), "login-refused"),
    "refused, unknown words, known provider": ("posteo", login("535 5.7.8 Nope"), "posteo-login-refused"),
    "not now": (
        "fastmail",
        login("454 4.7.0 Temporary authentication failure: Connection lost to authentication server"),
        "login-not-now",
    ),
    "not now, unknown words": ("fastmail", login("432 4.7.12 Nope"), "login-not-now"),
    "no mechanism": (
        "fastmail",
        not_sent(
            "SASL authentication failed; cannot authenticate to server smtp.fastmail.com[103.168.172.45]: no mechanism "
            "available",
            "4.7.0",
        ),
        "sasl-no-mechanism",
    ),
    "no worthy mechanism": (
        "fastmail",
        warned("SASL authentication failure: No worthy mechs found"),
        "sasl-no-mechanism",
    ),
    "nothing compatible": (
        "microsoft365",
        not_sent(
            "SASL authentication failed: server smtp.office365.com[52.97.149.82] offered no compatible authentication "
            "mechanisms for this type of connection security",
            "4.7.0",
        ),
        "sasl-nothing-in-common",
    ),
    "nothing supported": (
        None,
        warned("smtp.example.org[192.0.2.25]:587 offered no supported AUTH mechanisms: 'GSSAPI XOAUTH2'"),
        "sasl-nothing-in-common",
    ),
    "only tokens": ("custom", "the server offers only: XOAUTH2 OAUTHBEARER", "sasl-nothing-in-common"),
    "generic failure": (
        "gmail",
        not_sent(f"SASL authentication failed; cannot authenticate to server {HOSTS['gmail']}: generic failure"),
        "sasl-plugin-failed",
    ),
    "bad protocol": (
        None,
        not_sent(f"SASL authentication failed; cannot authenticate to server {ANY_HOST}: bad protocol / cancel"),
        "sasl-plugin-failed",
    ),
    "transient failure": (
        None,
        not_sent(
            f"SASL authentication failed; cannot authenticate to server {ANY_HOST}: transient failure (e.g., weak key)"
        ),
        "sasl-plugin-failed",
    ),
    "another failure of the plugin": (
        "fastmail",
        not_sent(f"SASL authentication failed; cannot authenticate to server {ANY_HOST}: user not found"),
        "sasl-failed",
    ),
    "no password found": (
        "microsoft365",
        "Nov 21 09:15:02 nas postfix/smtp[2114]: smtp_sasl_passwd_lookup: no auth info found "
        "(sender=`nas@bobs.org', host=`smtp.office365.com')",
        "not-logged-in",
    ),
    "sender, not logged in": (
        None,
        said("553 5.7.1 <nas@bobs.org>: Sender address rejected: not logged in", "RCPT TO"),
        "not-logged-in",
    ),
    "sender, no domain": (
        None,
        said("450 4.1.8 <root@nas.lan>: Sender address rejected: Domain not found", "RCPT TO"),
        "sender-refused",
    ),
    "relaying denied": (None, said("550 5.7.1 Relaying denied", "RCPT TO"), "not-logged-in"),
    "greylisting, Postgrey": (
        None,
        said(
            "450 4.2.0 <you@example.net>: Recipient address rejected: Greylisted, see "
            "http://postgrey.schweikert.ch/help/example.net.html",
            "RCPT TO",
        ),
        "greylisted",
    ),
    "greylisting, American": (None, said("451 4.7.1 Graylisted, try again later", "RCPT TO"), "greylisted"),
    "greylisting, Exim": (
        "mailbox_org",
        said("451 Greylisting in action, please come back later", "RCPT TO"),
        "greylisted",
    ),
}

TLS = {
    "untrusted issuer": (
        "fastmail",
        "Nov 21 09:15:02 nas postfix/smtp[2114]: certificate verification failed for "
        "smtp.fastmail.com[103.168.172.45]:465: untrusted issuer /C=US/O=DigiCert Inc/CN=DigiCert Global Root G2",
        "certificate-untrusted",
    ),
    "self-signed": (
        None,
        "postfix/smtp[9]: certificate verification failed for mail.bobs.org[192.0.2.25]:465: self-signed certificate",
        "certificate-untrusted",
    ),
    "self signed": (
        None,
        "postfix/smtp[9]: certificate verification failed for mail.bobs.org[192.0.2.25]:465: self signed certificate",
        "certificate-untrusted",
    ),
    "expired": (
        None,
        "postfix/smtp[9]: server certificate verification failed for smtp.example.org[192.0.2.25]:465: "
        "certificate has expired",
        "certificate-expired",
    ),
    "not yet valid": (
        None,
        "postfix/smtp[9]: server certificate verification failed for smtp.example.org[192.0.2.25]:465: "
        "certificate is not yet valid",
        "certificate-not-yet-valid",
    ),
    "other name": (
        None,
        "postfix/smtp[9]: server certificate verification failed for mail.bobs.org[192.0.2.25]:465: "
        "num=62:hostname mismatch",
        "certificate-other-name",
    ),
    "for a reason nobody knows": (
        None,
        "postfix/smtp[9]: certificate verification failed for smtp.example.org[192.0.2.25]:465: num=99:unheard of",
        "certificate-not-verified",
    ),
    "not verified": (
        "fastmail",
        not_sent("Server certificate not verified", "4.7.5"),
        "certificate-not-verified",
    ),
    "not trusted": (None, not_sent("Server certificate not trusted", "4.7.5"), "certificate-not-verified"),
    "level encrypt": (
        "fastmail",
        "postfix/smtp[9]: Untrusted TLS connection established to smtp.fastmail.com[103.168.172.45]:465: TLSv1.3 with "
        "cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
        "tls-untrusted",
    ),
    "not offered": (
        None,
        not_sent("TLS is required, but was not offered by host 127.0.0.1[127.0.0.1]", "4.7.4"),
        "starttls-not-offered",
    ),
    "not offered, login check": (
        "icloud",
        "TLS is required, but was not offered by host smtp.mail.me.com",
        "starttls-not-offered",
    ),
    "refused": (
        None,
        not_sent(
            f"TLS is required, but host {ANY_HOST} refused to start TLS: 454 4.7.0 TLS not available due to local "
            "problem"
        ),
        "starttls-refused",
    ),
    "no engine": (
        None,
        not_sent("TLS is required, but our TLS engine is unavailable", "4.7.5"),
        "tls-settings",
    ),
    "bad settings": (None, not_sent("client TLS configuration problem", "4.7.5"), "tls-settings"),
    "handshake": ("sendgrid", not_sent("Cannot start TLS: handshake failure", "4.7.5"), "tls-handshake"),
    "TLS library": (
        "sendgrid",
        warned(
            "TLS library problem: error:0A00010B:SSL routines::wrong version number:../ssl/record/ssl3_record.c:354:"
        ),
        "tls-wrong-mode",
    ),
    "SSL_connect": (
        "sendgrid",
        "postfix/smtp[2114]: SSL_connect error to smtp.sendgrid.net[167.89.115.117]:587: -1",
        "tls-handshake",
    ),
    "wrapper needed": (
        None,
        "postfix/smtp[9]: SMTPS wrappermode (TCP port 465) requires setting "
        '"smtp_tls_wrappermode = yes", and "smtp_tls_security_level = encrypt" (or stronger)',
        "tls-wrapper-needed",
    ),
    "no greeting": (
        "fastmail",
        not_sent(
            "lost connection with smtp.fastmail.com[103.168.172.45] while receiving the initial server greeting",
            "4.4.2",
        ),
        "tls-no-greeting",
    ),
    "no greeting in time": (
        "fastmail",
        not_sent(
            "conversation with smtp.fastmail.com[103.168.172.45] timed out while receiving the initial server greeting",
            "4.4.2",
        ),
        "tls-no-greeting",
    ),
    "no greeting, login check": ("smtp2go", "Connection unexpectedly closed: timed out", "tls-no-greeting"),
    "wrapper without level": (
        None,
        warned('smtp_tls_wrappermode requires "smtp_tls_security_level = encrypt" (or stronger)'),
        "tls-wrapper-without-level",
    ),
    "level none": (
        None,
        said("530 5.7.0 Must issue a STARTTLS command first", "MAIL FROM"),
        "starttls-required",
    ),
}

NETWORK = {
    "no such host": (
        "fastmail",
        not_sent(f"{NAME_SERVICE}smtp.fastmial.com type=AAAA: Host not found", "5.4.4"),
        "host-not-found",
    ),
    "name service": (
        "fastmail",
        not_sent(f"{NAME_SERVICE}smtp.fastmail.com type=A: Host not found, try again", "4.4.3"),
        "name-service-down",
    ),
    "no brackets": (
        "fastmail",
        not_sent(f"{NAME_SERVICE}smtp.fastmail.com type=MX: Host not found", "5.4.4"),
        "relay-without-brackets",
    ),
    "no brackets and no name service": (
        "fastmail",
        not_sent(f"{NAME_SERVICE}smtp.fastmail.com type=MX: Host not found, try again", "4.4.3"),
        "relay-without-brackets",
    ),
    "relayhost": ("fastmail", warned("relayhost configuration problem"), "relayhost-problem"),
    "no address tried": (
        None,
        not_sent("server unavailable or unable to receive mail", "4.3.0"),
        "server-not-tried",
    ),
    "native lookup": (
        None,
        not_sent("unable to look up host smtp.fastmial.com: No such thing", "4.4.4"),
        "host-not-found",
    ),
    "native lookup, no such host": (
        None,
        not_sent("unable to look up host smtp.fastmial.com: Name or service not known", "4.4.4"),
        "host-not-found",
    ),
    "native lookup, name service": (
        None,
        not_sent("unable to look up host smtp.fastmail.com: Temporary failure in name resolution", "4.4.4"),
        "name-service-down",
    ),
    "timeout": (
        "gmail",
        not_sent("connect to smtp.gmail.com[142.250.102.109]:587: Connection timed out", "4.4.1"),
        "connection-timed-out",
    ),
    "refused": (
        "gmail",
        not_sent("connect to smtp.gmail.com[142.250.102.109]:2525: Connection refused", "4.4.1"),
        "connection-refused",
    ),
    "unreachable": (
        "gmail",
        not_sent("connect to smtp.gmail.com[2a00:1450:4025:c03::6d]:587: Network is unreachable", "4.4.1"),
        "network-unreachable",
    ),
    "no route": (
        "gmail",
        not_sent("connect to smtp.gmail.com[142.250.102.109]:587: No route to host", "4.4.1"),
        "network-unreachable",
    ),
    "size": (
        "fastmail",
        result(
            "message size 64000512 exceeds size limit 52428800 of server smtp.fastmail.com[103.168.172.45]", "5.3.4"
        ),
        "message-too-large",
    ),
    "size, small numbers": (
        None,
        result(f"message size 550 exceeds size limit 500 of server {ANY_HOST}", "5.3.4"),
        "message-too-large",
    ),
    "size, said by the server": (None, said("552 5.3.4 Error: message size exceeds fixed limit"), "message-too-large"),
    "connection lost": (
        "ses",
        not_sent(f"lost connection with {HOSTS['ses']} while performing the EHLO handshake", "4.4.2"),
        "connection-lost",
    ),
    "suspended, cause unknown": (
        "fastmail",
        not_sent("delivery temporarily suspended: Something that nobody has met", "4.0.0"),
        "destination-suspended",
    ),
    "suspended, network": (
        "gmail",
        not_sent(
            "delivery temporarily suspended: connect to smtp.gmail.com[142.250.102.109]:587: Connection timed out"
        ),
        "connection-timed-out",
    ),
    "suspended, login": (
        "fastmail",
        not_sent(
            "delivery temporarily suspended: SASL authentication failed; server smtp.fastmail.com[103.168.172.45] "
            "said: 535 5.7.0 Incorrect username, password or access token",
            "4.7.8",
        ),
        "fastmail-login-refused",
    ),
    "suspended, login, unknown words": (
        "fastmail",
        not_sent(f"delivery temporarily suspended: SASL authentication failed; server {ANY_HOST} said: 535 Nope"),
        "fastmail-login-refused",
    ),
    "suspended, certificate": (
        "fastmail",
        not_sent("delivery temporarily suspended: Server certificate not verified", "4.7.5"),
        "certificate-not-verified",
    ),
}

# What Python says in the login check.
_VERIFY = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"
PYTHON = {
    "self-signed in chain": (
        "fastmail",
        f"self-signed certificate in certificate chain ({_VERIFY}: self-signed certificate in certificate chain "
        "(_ssl.c:1006))",
        "certificate-untrusted",
    ),
    "self signed in chain, OpenSSL 1.1": (
        None,
        f"{_VERIFY}: self signed certificate in certificate chain (_ssl.c:1129)",
        "certificate-untrusted",
    ),
    "no local issuer": (
        None,
        f"{_VERIFY}: unable to get local issuer certificate (_ssl.c:1006)",
        "certificate-untrusted",
    ),
    "no issuer": (None, f"{_VERIFY}: unable to get issuer certificate (_ssl.c:1006)", "certificate-untrusted"),
    "no first certificate": (
        None,
        f"{_VERIFY}: unable to verify the first certificate (_ssl.c:1006)",
        "certificate-untrusted",
    ),
    "expired": (None, f"{_VERIFY}: certificate has expired (_ssl.c:1006)", "certificate-expired"),
    "not yet valid": (None, f"{_VERIFY}: certificate is not yet valid (_ssl.c:1006)", "certificate-not-yet-valid"),
    "other name": (
        "fastmail",
        f"{_VERIFY}: Hostname mismatch, certificate is not valid for 'smtp.fastmail.com'. (_ssl.c:1006)",
        "certificate-other-name",
    ),
    "other address": (
        None,
        f"{_VERIFY}: IP address mismatch, certificate is not valid for '192.0.2.25'. (_ssl.c:1006)",
        "certificate-other-name",
    ),
    "for a reason nobody knows": (None, f"{_VERIFY}: unheard of (_ssl.c:1006)", "certificate-not-verified"),
    "wrong version number": (
        "fastmail",
        "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)",
        "tls-wrong-mode",
    ),
    "record layer": (None, "[SSL] record layer failure (_ssl.c:1000)", "tls-wrong-mode"),
    "long packet": (None, "[SSL: PACKET_LENGTH_TOO_LONG] packet length too long (_ssl.c:1000)", "tls-wrong-mode"),
    "no such name": (None, "[Errno -2] Name or service not known", "host-not-found"),
    "no address": (None, "[Errno -5] No address associated with hostname", "host-not-found"),
    "no such name, BSD": (None, "[Errno 8] nodename nor servname provided, or not known", "host-not-found"),
    "name service": (None, "[Errno -3] Temporary failure in name resolution", "name-service-down"),
    "refused": (None, "[Errno 111] Connection refused", "connection-refused"),
    "timeout": (None, "timed out", "connection-timed-out"),
    "no route": (None, "[Errno 113] No route to host", "network-unreachable"),
    "unreachable": (None, "[Errno 101] Network is unreachable", "network-unreachable"),
    "reset": (None, "[Errno 104] Connection reset by peer", "connection-lost"),
}

GROUPS: dict[str, dict[str, Any]] = {
    "Fastmail": FASTMAIL,
    "iCloud": ICLOUD,
    "Google": GOOGLE,
    "Microsoft": MICROSOFT,
    "services": SERVICES,
    "others": OTHERS,
    "SASL": SASL,
    "TLS": TLS,
    "network": NETWORK,
    "Python": PYTHON,
}
CASES = {f"{group}: {name}": case for group, cases in GROUPS.items() for name, case in cases.items()}

# The entry that refuses a login, by preset; custom has the one for everybody.
LOGIN_KEYS = {
    "aol": "aol-login-refused",
    "brevo": "brevo-login-refused",
    "custom": "login-refused",
    "fastmail": "fastmail-login-refused",
    "gmail": "gmail-login-refused",
    "gmx": "gmx-login-refused",
    "google_relay": "google-relay-login-refused",
    "icloud": "icloud-login-refused",
    "mail_com": "mail-com-login-refused",
    "mailbox_org": "mailbox-org-login-refused",
    "mailgun": "mailgun-login-refused",
    "mailjet": "mailjet-login-refused",
    "microsoft365": "microsoft-login-refused",
    "migadu": "migadu-login-refused",
    "outlook": "outlook-no-passwords",
    "posteo": "posteo-login-refused",
    "postmark": "postmark-login-refused",
    "proton": "proton-login-refused",
    "purelymail": "purelymail-login-refused",
    "resend": "resend-login-refused",
    "sendgrid": "sendgrid-login-refused",
    "ses": "ses-login-refused",
    "smtp2go": "smtp2go-login-refused",
    "web_de": "web-de-login-refused",
    "yahoo": "yahoo-login-refused",
    "zoho": "zoho-login-refused",
}
# How servers say it, one line for each of diagnosis.LOGIN_REFUSED.
LOGIN_LINES = (
    "535 5.7.8 Error: authentication failed: (reason unavailable)",
    "535 5.7.3 Authentication unsuccessful",
    "535 Authentication credentials invalid",
    "535 Incorrect authentication data",
    "535 5.7.0 Invalid login or password",
    "535 5.7.8 Invalid username or password",
    "535 5.7.8 Bad username / password",
    login("535 5.7.8 Nope"),
)
LOGIN_CASES = {
    f"{provider}: {number}": (provider, line, key)
    for provider, key in LOGIN_KEYS.items()
    for number, line in enumerate(LOGIN_LINES)
}
ALL_CASES = {**CASES, **LOGIN_CASES}

# One line, several reasons.
AMBIGUOUS = (
    "fastmail-login-refused",
    "icloud-login-refused",
    "gmail-login-refused",
    "google-relay-login-refused",
    "google-relay-denied",
    "microsoft-credentials",
    "microsoft-criteria",
    "microsoft-login-refused",
    "mailgun-login-refused",
    "mailgun-relay-denied",
    "ses-login-refused",
    "gmx-login-refused",
    "mail-com-login-refused",
    "web-de-login-refused",
    "zoho-login-refused",
    "login-refused",
    "sasl-no-mechanism",
    "sasl-nothing-in-common",
    "sasl-plugin-failed",
    "certificate-untrusted",
    "certificate-expired",
    "certificate-not-yet-valid",
    "certificate-not-verified",
    "starttls-not-offered",
    "tls-settings",
    "tls-handshake",
    "tls-no-greeting",
    "host-not-found",
    "name-service-down",
    "relayhost-problem",
    "connection-timed-out",
    "connection-refused",
    "network-unreachable",
    "connection-lost",
)

UNKNOWN = (
    "",
    "   ",
    "250 2.0.0 Ok: queued as 4XyZ1k3Qp2z5",
    "550 5.1.1 <nobody@example.net>: Recipient address rejected: User unknown in virtual mailbox table",
    said("554 5.6.0 Something that nobody has met", END),
    "535",
    "535 5.7.8",
    "5.7.139",
    "554 5.7.1",
    "SASL authentication failure: Unable to find a callback: 18948",
    "Übermäßig viele Grüße",
)


def key_of(text: str, provider: str | None = None) -> str | None:
    failure = diagnosis.explain(text, provider)
    return failure.key if failure else None


def entry_of(key: str) -> diagnosis.Entry:
    return next(entry for entry in diagnosis.TABLE if entry.key == key)


# --- what a text means ------------------------------------------------------------------------


@pytest.mark.parametrize(("provider", "line", "key"), CASES.values(), ids=CASES.keys())
def test_line_is_understood(provider: str | None, line: str, key: str) -> None:
    assert key_of(line, provider) == key


@pytest.mark.parametrize(("provider", "line", "key"), LOGIN_CASES.values(), ids=LOGIN_CASES.keys())
def test_refused_login_gives_the_providers_own_remedy(provider: str, line: str, key: str) -> None:
    assert key_of(line, provider) == key


@pytest.mark.parametrize(("provider", "line", "key"), CASES.values(), ids=CASES.keys())
def test_neither_case_nor_breaks_nor_the_rest_of_the_log_count(provider: str | None, line: str, key: str) -> None:
    assert key_of(line.upper(), provider) == key
    assert key_of(line.replace(" ", "\n  "), provider) == key
    assert key_of(f"Nov 21 09:15:02 nas postfix/smtp[2114]: 4XyZ1k3Qp2z5: {line}; see above", provider) == key


def test_every_preset_has_its_own_remedy_for_a_refused_login(providers: dict[str, Any]) -> None:
    assert set(LOGIN_KEYS) == set(providers)
    assert [key for provider, key in LOGIN_KEYS.items() if provider != "custom"].count("login-refused") == 0


def test_sentence_that_others_say_too_means_it_only_there() -> None:
    assert key_of("451 Temporary service failure", "ses") == "ses-temporary"
    assert key_of("451 Temporary service failure") is None
    assert key_of("451 Temporary service failure", "fastmail") is None


@pytest.mark.parametrize("line", UNKNOWN)
@pytest.mark.parametrize("provider", [None, "fastmail", "custom", "no-such-preset"])
def test_unknown_text_stays_as_it_is(line: str, provider: str | None) -> None:
    assert diagnosis.explain(line, provider) is None
    assert diagnosis.sentence(line, provider) == line


@given(st.text(), st.sampled_from([None, *LOGIN_KEYS]))
def test_any_text_gets_an_answer(text: str, provider: str | None) -> None:
    failure = diagnosis.explain(text, provider)
    expected = f"{failure.cause} {failure.remedy}" if failure else text
    assert diagnosis.sentence(text, provider) == expected


def test_sentence_says_what_happened_why_and_what_to_do() -> None:
    told = diagnosis.sentence("535 5.7.0 Incorrect username, password or access token", "fastmail")
    assert told.startswith("Fastmail refused the login: it takes only app passwords")
    assert "Settings → Privacy & Security" in told
    assert "smarthost_password" in told
    assert told.endswith("Standard or higher.")


def test_failure_has_all_of_its_entry() -> None:
    failure = diagnosis.explain("535 5.7.8 Authentication failed", "brevo")
    entry = entry_of("brevo-login-refused")
    assert failure == diagnosis.Failure(entry.key, entry.cause, entry.remedy, entry.kind, entry.link)


@pytest.mark.parametrize(
    "hostile",
    [
        "a" * 50_000,
        "[" * 50_000,
        " " * 50_000,
        "535-5.7.8 " * 5_000,
        "5." * 25_000,
        "4" * 50_000,
        "sasl authentication failed; server " * 1_500,
        "sasl authentication failed; server " + "x" * 50_000,
        "certificate verification failed for " * 1_500,
        "Host or domain name not found. Name service error for name=" * 1_000,
        "delivery temporarily suspended: " * 1_500 + "end",
        "\x00\ud800İ" * 10_000,
    ],
    ids=lambda text: f"{text[:12]!r} × {len(text)}",
)
def test_long_hostile_text_gets_an_answer(hostile: str) -> None:
    told = diagnosis.sentence(hostile, "fastmail")
    assert told


# --- the table --------------------------------------------------------------------------------


def test_keys_are_unique_and_stable_names() -> None:
    keys = [entry.key for entry in diagnosis.TABLE]
    assert len(keys) == len(set(keys))
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key) for key in keys)


@pytest.mark.parametrize("entry", diagnosis.TABLE, ids=lambda entry: entry.key)
def test_entry_is_complete(entry: diagnosis.Entry, providers: dict[str, Any]) -> None:
    assert entry.kind in diagnosis.KINDS
    assert entry.says or entry.says_there
    assert set(entry.providers) <= set(providers)
    assert entry.providers or not entry.says_there, "without a provider, these never match"
    assert not entry.link or re.fullmatch(r"https://[^\s/]+/\S+", entry.link)
    for text in (entry.cause, entry.remedy):
        assert text.endswith(".")
        assert text[0].isupper() or text.startswith("iCloud")
        assert len(text.split()) >= 4
        assert "  " not in text
        assert "\n" not in text


@pytest.mark.parametrize("entry", diagnosis.TABLE, ids=lambda entry: entry.key)
def test_remedy_names_only_variables_that_there_are(entry: diagnosis.Entry, role: Any) -> None:
    defaults = (role / "defaults" / "main.yml").read_text(encoding="utf-8")
    for name in re.findall(r"\bsmarthost_\w+", entry.cause + entry.remedy):
        assert f"\n{name}:" in defaults


def test_every_kind_is_in_use() -> None:
    assert {entry.kind for entry in diagnosis.TABLE} == set(diagnosis.KINDS)


def test_refused_login_with_an_own_remedy_names_the_variables() -> None:
    for key in LOGIN_KEYS.values():
        if key != "outlook-no-passwords":
            remedy = entry_of(key).remedy
            assert "smarthost_username" in remedy
            assert "smarthost_password" in remedy


def test_ambiguous_ones_say_in_which_order_to_check() -> None:
    in_order = {entry.key for entry in diagnosis.TABLE if re.search(r"[Cc]heck in this order: .+; .+\.", entry.remedy)}
    assert in_order == set(AMBIGUOUS)


@pytest.mark.parametrize("key", ["fastmail-account-locked", "icloud-daily-limit", "icloud-no-permission"])
def test_what_is_not_sure_is_said_to_be_so(key: str) -> None:
    assert re.search(r"not document|known from public logs only|may read", entry_of(key).cause)


@pytest.mark.parametrize("entry", diagnosis.TABLE, ids=lambda entry: entry.key)
def test_every_sentence_of_an_entry_is_reached(entry: diagnosis.Entry) -> None:
    """Each decides a tested line: without it, the line would mean something else or nothing to this entry."""
    lines = [(provider, line) for provider, line, key in ALL_CASES.values() if key == entry.key]
    for field in ("says", "says_there"):
        for said_ in getattr(entry, field):
            alone = {"says": (), "says_there": (), field: (said_,)}
            lonely = diagnosis.Entry(
                entry.key, entry.kind, entry.cause, entry.remedy, entry.link, entry.providers, **alone
            )
            others = [other for other in diagnosis.TABLE if other.key != entry.key]
            index = diagnosis._index([*others, lonely])
            found = [diagnosis._find(line, provider, index) for provider, line in lines]
            assert lonely in found, f"no tested line is decided by {said_!r}"


# --- which entry wins -------------------------------------------------------------------------


def test_more_text_wins() -> None:
    """A longer sentence is an exception to a shorter one, whoever's it is."""
    short = diagnosis.Entry("short", "login", "C.", "R.", providers=("gmx",), says=("mail denied",))
    long = diagnosis.Entry("long", "login", "C.", "R.", says=("mail denied … tuesday",))
    for table in ([short, long], [long, short]):
        index = diagnosis._index(table)
        assert diagnosis._find("550 Mail denied until Tuesday", "gmx", index) is long
        assert diagnosis._find("550 Mail denied until Monday", "gmx", index) is short
        assert diagnosis._find("550 Tuesday: mail denied", "gmx", index) is short


def test_parts_of_a_sentence_follow_each_other() -> None:
    index = diagnosis._index([diagnosis.Entry("gap", "login", "C.", "R.", says=("not … nothing now",))])
    assert diagnosis._find("it is not 42, nothing now", None, index)
    assert diagnosis._find("nothing now, not", None, index) is None
    assert diagnosis._find("nothing now", None, index) is None, "one text is not two parts"


def test_between_equals_the_providers_own_wins_then_anybodys() -> None:
    own = diagnosis.Entry("own", "login", "C.", "R.", providers=("gmx",), says_there=("mail denied",))
    foreign = diagnosis.Entry("foreign", "login", "C.", "R.", providers=("zoho",), says=("mail denied",))
    anybody = diagnosis.Entry("anybody", "login", "C.", "R.", says=("Mail  Denied",))
    text = "550 Mail denied"
    for table in ([own, foreign, anybody], [anybody, foreign, own], [foreign, anybody, own]):
        index = diagnosis._index(table)
        assert diagnosis._find(text, "gmx", index) is own
        assert diagnosis._find(text, "zoho", index) is foreign
        assert diagnosis._find(text, "custom", index) is anybody
        assert diagnosis._find(text, None, index) is anybody
    assert diagnosis._find(text, None, diagnosis._index([own, foreign])) is foreign
    assert diagnosis._find(text, None, diagnosis._index([own])) is None


def test_what_is_inside_a_frame_goes_before_the_frame() -> None:
    inside = diagnosis.Entry("inside", "login", "C.", "R.", says=("no",))
    index = diagnosis._index([*diagnosis.TABLE, inside])
    found = diagnosis._find("delivery temporarily suspended: No", None, index)
    assert found is inside


def test_place_in_the_table_does_not_matter() -> None:
    table = list(diagnosis.TABLE)
    for seed in range(5):
        random.Random(seed).shuffle(table)
        index = diagnosis._index(table)
        for name, (provider, line, key) in ALL_CASES.items():
            found = diagnosis._find(line, provider, index)
            assert found and found.key == key, name


@pytest.mark.parametrize("provider", [None, *LOGIN_KEYS])
def test_no_two_entries_have_the_same_claim(provider: str | None) -> None:
    """Neither to one sentence nor, by sentences of one length, to a tested line."""
    lines = [diagnosis._unframed(diagnosis._plain(line)) for _provider, line, _key in ALL_CASES.values()]
    for line in lines:
        claims: dict[tuple[int, int], set[str]] = {}
        for candidate in diagnosis._SENTENCES:
            if candidate.occurs_in(line):
                for entry, everywhere in candidate.claims:
                    standing = diagnosis._standing(entry, everywhere, provider)
                    if standing:
                        claims.setdefault((candidate.length, standing), set()).add(entry.key)
        if claims:
            assert len(claims[max(claims)]) == 1, line
    for candidate in diagnosis._SENTENCES:
        standings = [diagnosis._standing(entry, everywhere, provider) for entry, everywhere in candidate.claims]
        highest = max(standings)
        assert highest == 0 or standings.count(highest) == 1, candidate.parts
