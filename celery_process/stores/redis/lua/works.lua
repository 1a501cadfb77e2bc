#!lua flags=no-writes
-- include: basics
-- Return registrations with their last statuses and, while a run is open, its items. ARGV: time, list, name, limit: those
-- of a list after a name, or with an empty list the one of that name.
local names = {ARGV[3]}
if ARGV[2] ~= '' then names = call('ZRANGEBYLEX', LISTS[ARGV[2]], '(' .. ARGV[3], '+', 'LIMIT', 0, ARGV[4]) end
local run = call('HGET', PROCESS, 'run')
return {names, many('HMGET', WORKS, names), many('HMGET', STATUSES, names),
  run and many('HMGET', items_key(run), names) or {}, run and call('HGET', run_key(run), 'id') or ''}
