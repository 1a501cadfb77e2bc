#!lua
-- include: basics ledger
-- Write down why a slot did not run, if the process is as it was read. ARGV: time, version, slot, end of a missed range,
-- its start, rule, end, by, start of the range that is ended (empty: one slot), and the number
-- of entries after each of which a purge is due.
local version = call('HGET', PROCESS, 'v') or ''
if version ~= ARGV[2] then return 'late' end
hashes(LEDGER)
sets(SLOTS)
local next_version = whole(tonumber(version ~= '' and version or 0) + 1)
local now = whole(clock())
call('HSET', PROCESS, 'v', next_version)
account(now, ARGV[4], ARGV[5], ARGV[6])
enter(ARGV[3], join({ARGV[7], now, '', ARGV[9], ARGV[8]}))
if call('ZCARD', SLOTS) % tonumber(ARGV[10]) < 2 then call('HSET', PROCESS, 'purge', '1') end  -- `rules.ledger_purge_due`
return 'written'
