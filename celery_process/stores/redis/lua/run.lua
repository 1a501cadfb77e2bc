#!lua flags=no-writes
-- include: basics showing
-- Return one run. ARGV: time, epoch, run.
if call('HGET', run_key(ARGV[2]), 'id') ~= ARGV[3] then return '' end
return show(ARGV[2])
