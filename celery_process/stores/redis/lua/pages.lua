#!lua flags=no-writes
-- include: basics
-- Return the state of a run and the numbers of its open pages. ARGV: time, epoch, run.
local found = call('HMGET', run_key(ARGV[2]), 'id', 'state')
if found[1] ~= ARGV[3] then return {} end
return {found[2], call('ZRANGE', open_key(ARGV[2]), 0, -1)}
