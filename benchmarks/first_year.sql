\set n :n + 1
BEGIN;
UPDATE checkouts SET state = 'paid', gateway_id = 'cs_test_' || id::text, ended_at = now()
 WHERE id = md5('checkout' || :round::text || '.' || :client_id::text || '.' || :n::text)::uuid AND state <> 'paid';
INSERT INTO stripe_events (id, type, object_id, received_at)
 VALUES ('evt_' || :round::text || '.' || :client_id::text || '.' || :n::text, 'checkout.session.completed',
         'cs_test_' || md5('checkout' || :round::text || '.' || :client_id::text || '.' || :n::text), now());
INSERT INTO person_references (reference, account_id)
 VALUES (md5('reference' || :round::text || '.' || :client_id::text || '.' || :n::text)::uuid,
         md5('account' || :round::text || '.' || :client_id::text || '.' || :n::text)::uuid);
INSERT INTO postings (entry_id, position, account, amount)
 VALUES (md5('entry' || :round::text || '.' || :client_id::text || '.' || :n::text)::uuid, 0, 'Assets' || chr(58) || 'StripePending', 2500),
        (md5('entry' || :round::text || '.' || :client_id::text || '.' || :n::text)::uuid, 1, 'Liabilities' || chr(58) || 'DeferredDues', -2500);
INSERT INTO journal_entries (id, date, source, external_id, description, size, recorded_at, policy_version, person)
 VALUES (md5('entry' || :round::text || '.' || :client_id::text || '.' || :n::text)::uuid, current_date, 'payment',
         'pi_' || :round::text || '.' || :client_id::text || '.' || :n::text, 'Dues for a year', 2, now(), :law::uuid,
         md5('reference' || :round::text || '.' || :client_id::text || '.' || :n::text)::uuid);
INSERT INTO members (account_id, first_day, active, covered_until)
 VALUES (md5('account' || :round::text || '.' || :client_id::text || '.' || :n::text)::uuid, current_date, true,
         current_date + interval '425 days');
INSERT INTO terms (id, account_id, ordinal, first_day, year, begins, ends, grace_until, price, policy_version)
 VALUES (md5('term' || :round::text || '.' || :client_id::text || '.' || :n::text)::uuid,
         md5('account' || :round::text || '.' || :client_id::text || '.' || :n::text)::uuid, 1, current_date, 1, current_date,
         current_date + interval '365 days', current_date + interval '425 days', 2500, :law::uuid);
INSERT INTO payments (id, account_id, gateway_id, purpose, amount, price, policy_version, received_at, term_id, refunded,
                      disputed, method)
 VALUES (md5('payment' || :round::text || '.' || :client_id::text || '.' || :n::text)::uuid,
         md5('account' || :round::text || '.' || :client_id::text || '.' || :n::text)::uuid,
         'pi_' || :round::text || '.' || :client_id::text || '.' || :n::text, 'dues', 2500, 2500, :law::uuid, now(),
         md5('term' || :round::text || '.' || :client_id::text || '.' || :n::text)::uuid, 0, 0, 'card');
INSERT INTO outbox (id, kind, payload, due_at, dedupe_key, attempts)
 VALUES (gen_random_uuid(), 'TermBegan', convert_to(repeat('x', 120), 'UTF8'), now(), NULL, 0),
        (gen_random_uuid(), 'MembershipActivated', convert_to(repeat('x', 110), 'UTF8'), now(), NULL, 0),
        (gen_random_uuid(), 'Letter', convert_to(repeat('x', 450), 'UTF8'), now(),
         'receipt' || chr(58) || md5('payment' || :round::text || '.' || :client_id::text || '.' || :n::text)::uuid, 0);
COMMIT;
