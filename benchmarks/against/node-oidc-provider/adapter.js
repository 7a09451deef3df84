// What the provider keeps, in one table of PostgreSQL, as its documentation asks of an adapter: every statement is
// prepared, every look-up has an index, expiry is checked by the database, and a token is used up by a guarded UPDATE.

import pg from "pg";

export const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 8 });

export async function prepareTables() {
  await pool.query(`
    CREATE TABLE oidc_payloads (
      model text NOT NULL,
      id text NOT NULL,
      payload jsonb NOT NULL,
      grant_id text,
      user_code text,
      uid text,
      expires_at timestamptz,
      consumed_at timestamptz,
      PRIMARY KEY (model, id)
    );
    CREATE INDEX ON oidc_payloads (grant_id) WHERE grant_id IS NOT NULL;
    CREATE INDEX ON oidc_payloads (model, user_code) WHERE user_code IS NOT NULL;
    CREATE INDEX ON oidc_payloads (model, uid) WHERE uid IS NOT NULL;
    CREATE INDEX ON oidc_payloads (expires_at);
    CREATE TABLE accounts (
      id uuid PRIMARY KEY,
      handle text NOT NULL UNIQUE,
      member_until timestamptz,
      locked_at timestamptz
    );
  `);
}

// A name makes `pg` prepare the statement once for each connection.
const query = (name, text, values) => pool.query({ name, text, values });

const FOUND = "SELECT payload, extract(epoch FROM consumed_at)::bigint AS consumed FROM oidc_payloads WHERE model = $1";
const ALIVE = "AND (expires_at IS NULL OR expires_at > now())";

const told = ({ rows: [row] }) =>
  row && (row.consumed === null ? row.payload : { ...row.payload, consumed: Number(row.consumed) });

export class Adapter {
  constructor(model) {
    this.model = model;
  }

  async find(id) {
    return told(await query("find", `${FOUND} AND id = $2 ${ALIVE}`, [this.model, id]));
  }

  async findByUid(uid) {
    return told(await query("find-uid", `${FOUND} AND uid = $2 ${ALIVE}`, [this.model, uid]));
  }

  async findByUserCode(code) {
    return told(await query("find-code", `${FOUND} AND user_code = $2 ${ALIVE}`, [this.model, code]));
  }

  async upsert(id, payload, expiresIn) {
    await query(
      "upsert",
      `INSERT INTO oidc_payloads (model, id, payload, grant_id, user_code, uid, expires_at)
       VALUES ($1, $2, $3, $4, $5, $6, now() + $7 * interval '1 second')
       ON CONFLICT (model, id) DO UPDATE SET payload = excluded.payload, grant_id = excluded.grant_id,
         user_code = excluded.user_code, uid = excluded.uid, expires_at = excluded.expires_at`,
      [this.model, id, payload, payload.grantId, payload.userCode, payload.uid, expiresIn ?? null],
    );
  }

  async consume(id) {
    const used = await query(
      "consume",
      "UPDATE oidc_payloads SET consumed_at = now() WHERE model = $1 AND id = $2 AND consumed_at IS NULL",
      [this.model, id],
    );
    if (used.rowCount === 0) throw new Error(`${this.model} was used by somebody else at the same moment`);
  }

  async destroy(id) {
    await query("destroy", "DELETE FROM oidc_payloads WHERE model = $1 AND id = $2", [this.model, id]);
  }

  async revokeByGrantId(grantId) {
    await query("revoke", "DELETE FROM oidc_payloads WHERE model = $1 AND grant_id = $2", [this.model, grantId]);
  }
}

// Whether somebody is a member, which every answer about a person tells here as it does with us.
export async function member(id) {
  const { rows: [row] } = await query(
    "member",
    "SELECT handle, member_until > now() AS active FROM accounts WHERE id = $1 AND locked_at IS NULL",
    [id],
  );
  return row;
}
