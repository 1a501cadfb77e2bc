#!lua flags=no-writes
-- include: basics
-- Return the unacknowledged repairs of a run: number, leases that ran out, lost names. ARGV: time, epoch, run.
local found = call('HMGET', run_key(ARGV[2]), 'id', 'repairs', 'freed', 'lost_names')
if found[1] ~= ARGV[3] or not found[3] then return {} end
return {found[2], found[3], found[4] or ''}
