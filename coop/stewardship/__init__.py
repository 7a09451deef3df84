"""Roles that expire, two-person approval, the audit log, admission."""
