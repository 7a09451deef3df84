"""The same renewals as set-based SQL: what a program that knows only this one case, and checks nothing, would send.

It does what the run does to a line of members whom the pool covers: keep each one's part, then begin each one's year; the same
rows in the same tables, and the same triggers over them. It knows that nobody has anything to settle, asks for a part, or speaks
another language, and reads and writes each table once for all.
"""


def statements(engine: str, *, coop: str, issuer: str) -> list[str]:
    """Return what is said in one transaction, in this order."""
    facts = {"coop": coop, "account": f"{issuer}/account"}
    common = POSTGRESQL if engine == "postgresql" else SQLITE
    return [part.format(**facts) for part in common]


_RESERVE = """
INSERT INTO pool_reservations (key, amount, made_at, state, first_places)
SELECT 'place:' || id, price, {now}, 'held', 0 FROM due;
INSERT INTO postings (entry_id, position, account, amount)
SELECT kept, 0, 'Liabilities:Pool', price FROM due UNION ALL SELECT kept, 1, 'Liabilities:Reserved', -price FROM due;
INSERT INTO journal_entries (id, date, source, external_id, description, size, recorded_at)
SELECT kept, {today}, 'pool', 'reserve:place:' || id, 'Kept from the pool', 2, {now} FROM due;
UPDATE ledger_balances SET amount = amount - (SELECT sum(price) FROM due) WHERE account = 'Liabilities:Pool';
UPDATE ledger_balances SET amount = amount + (SELECT sum(price) FROM due) WHERE account = 'Liabilities:Reserved';
UPDATE places SET state = 'awarded', awarded_at = {now}, due_at = {now}, policy_version = due.law
FROM due WHERE places.id = due.id AND places.state = 'queued';
"""
_BEGIN = """
UPDATE pool_reservations SET state = 'spent', ended_at = {now} FROM due WHERE key = 'place:' || due.id AND state = 'held';
INSERT INTO postings (entry_id, position, account, amount)
SELECT begun, 0, 'Liabilities:Reserved', price FROM due UNION ALL SELECT begun, 1, 'Liabilities:DeferredDues', -price FROM due;
INSERT INTO journal_entries (id, date, source, external_id, description, size, recorded_at, policy_version, person)
SELECT begun, {today}, 'place', {text_id}, 'Dues for a year', 2, {now}, law, person FROM due;
UPDATE ledger_balances SET amount = amount - (SELECT sum(price) FROM due) WHERE account = 'Liabilities:Reserved';
INSERT INTO terms (id, account_id, ordinal, first_day, year, begins, ends, grace_until, price, policy_version, vat_rate)
SELECT term, account_id, ordinal + 1, first_day, year + 1, ends, {next_end}, {next_grace}, price, law, 0 FROM due;
INSERT INTO outbox (id, kind, payload, due_at, attempts)
SELECT {new_id}, 'TermBegan', {began}, {now}, 0 FROM due;
INSERT INTO members (account_id, first_day, active, covered_until)
SELECT account_id, first_day, {false}, {next_grace} FROM due WHERE true
ON CONFLICT (account_id) DO UPDATE SET covered_until = excluded.covered_until;
UPDATE members SET active = {true} WHERE account_id IN (SELECT account_id FROM due) AND active = {false};
UPDATE places SET state = 'begun', term_id = due.term FROM due WHERE places.id = due.id AND places.state = 'awarded';
INSERT INTO outbox (id, kind, payload, due_at, dedupe_key, attempts)
SELECT {new_id}, 'Letter', {letter}, {now}, 'place-begun:' || id, 0 FROM due;
"""


def _split(script: str, **words: str) -> list[str]:
    for name, word in words.items():
        script = script.replace("{" + name + "}", word)
    return [part.strip() for part in script.split(";") if part.strip()]


POSTGRESQL = [
    "UPDATE place_queue SET turn = turn + 1 WHERE id = 1",
    """
CREATE TEMPORARY TABLE due ON COMMIT DROP AS
SELECT p.id, p.account_id, a.email, t.ordinal, t.first_day, t.year, t.ends, v.id AS law, r.reference AS person,
       (v.document::json->>'price')::bigint AS price, (v.document::json->>'grace_days')::int AS grace,
       gen_random_uuid() AS kept, gen_random_uuid() AS begun, gen_random_uuid() AS term
FROM places p
JOIN accounts a ON a.id = p.account_id
JOIN person_references r ON r.account_id = p.account_id
JOIN LATERAL (SELECT * FROM terms WHERE account_id = p.account_id ORDER BY ordinal DESC LIMIT 1) t ON true
CROSS JOIN (SELECT * FROM policy_versions WHERE kind = 'dues' AND effective_at <= now() ORDER BY number DESC LIMIT 1) v
WHERE p.state = 'queued' AND NOT EXISTS (SELECT 1 FROM obstacles o WHERE o.account_id = p.account_id)
""",
    "ANALYZE due",
    *_split(
        _RESERVE + _BEGIN,
        now="now()",
        today="(now() AT TIME ZONE 'UTC')::date",
        text_id="id::text",
        new_id="gen_random_uuid()",
        true="true",
        false="false",
        next_end="(first_day + make_interval(years => year::int + 1)) AT TIME ZONE 'UTC'",
        next_grace="(first_day + make_interval(years => year::int + 1, days => grace)) AT TIME ZONE 'UTC'",
        began="""convert_to('{{"type":"TermBegan","account_id":"' || account_id || '","term_id":"' || term || '"}}', 'UTF8')""",
        letter="""convert_to('{{"to":"' || email || '","subject":"You are a member of {coop}","body":"Your membership has begun and runs until '
|| to_char(first_day + make_interval(years => year::int + 1, days => -1), 'FMMonth FMDD, YYYY') ||
'.\\n\\nYour page: {account}\\n","key":"' || replace(gen_random_uuid()::text, '-', '') || '"}}', 'UTF8')""",
    ),
]
_UUID = "(substr({0},1,8)||'-'||substr({0},9,4)||'-'||substr({0},13,4)||'-'||substr({0},17,4)||'-'||substr({0},21))"
_MONTH = (
    "trim(substr('January  February March    April    May      June     July     August   SeptemberOctober  November December ',"
    " 9 * cast(strftime('%m', {0}) AS INTEGER) - 8, 9))"
)
_LAST = "date(first_day, '+' || (year + 1) || ' years', '-1 day')"
_NOW = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
SQLITE = [
    "UPDATE place_queue SET turn = turn + 1 WHERE id = 1",
    """
CREATE TEMPORARY TABLE due AS
SELECT p.id, p.account_id, a.email, t.ordinal, t.first_day, t.year, t.ends, v.id AS law, r.reference AS person,
       json_extract(v.document, '$.price') AS price, json_extract(v.document, '$.grace_days') AS grace,
       lower(hex(randomblob(16))) AS kept, lower(hex(randomblob(16))) AS begun, lower(hex(randomblob(16))) AS term
FROM places p
JOIN accounts a ON a.id = p.account_id
JOIN person_references r ON r.account_id = p.account_id
JOIN terms t ON t.account_id = p.account_id
     AND t.ordinal = (SELECT max(ordinal) FROM terms WHERE account_id = p.account_id)
CROSS JOIN (SELECT * FROM policy_versions WHERE kind = 'dues' AND effective_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')
            ORDER BY number DESC LIMIT 1) v
WHERE p.state = 'queued' AND NOT EXISTS (SELECT 1 FROM obstacles o WHERE o.account_id = p.account_id)
""",
    "CREATE UNIQUE INDEX temp.due_id ON due (id)",
    "CREATE INDEX temp.due_account ON due (account_id)",
    *_split(
        _RESERVE + _BEGIN,
        now=_NOW,
        today="date('now')",
        text_id="cast(id AS TEXT)",
        new_id="lower(hex(randomblob(16)))",
        true="1",
        false="0",
        next_end="date(first_day, '+' || (year + 1) || ' years') || ' 00:00:00.000000'",
        next_grace="date(first_day, '+' || (year + 1) || ' years', '+' || grace || ' days') || ' 00:00:00.000000'",
        began='cast(\'{{"type":"TermBegan","account_id":"\' || '
        + _UUID.format("account_id")
        + ' || \'","term_id":"\' || '
        + _UUID.format("term")
        + " || '\"}}' AS BLOB)",
        letter='cast(\'{{"to":"\' || email || \'","subject":"You are a member of {coop}","body":"Your membership has begun and '
        "runs until ' || "
        + _MONTH.format(_LAST)
        + f" || ' ' || cast(strftime('%d', {_LAST}) AS INTEGER) || ', ' || strftime('%Y', {_LAST}) || "
        + '\'.\\n\\nYour page: {account}\\n","key":"\' || lower(hex(randomblob(16))) || \'"}}\' AS BLOB)',
    ),
    "DROP TABLE temp.due",
]
