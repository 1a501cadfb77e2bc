#!lua flags=no-writes
-- include: basics
-- Return the time, what the process's own record has that a step may read, and the id of its open run.
local fields = call('HMGET', PROCESS, 'v', 'epoch', 'last', 'rule', 'paused', 'purge', 'run', 'changed', 'sv', 'newest',
  'limits', 'pace')
for place = 1, 12 do fields[place] = fields[place] or '' end
return {whole(clock()), fields, fields[7] ~= '' and call('HGET', run_key(fields[7]), 'id') or ''}
