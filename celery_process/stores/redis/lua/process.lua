#!lua flags=no-writes
-- include: basics showing
-- Return the hash of a process and its open run, else its last one. ARGV: time, whether its open pages count.
local process = call('HGETALL', PROCESS)
local found = call('HMGET', PROCESS, 'run', 'epoch')
local epoch = found[1] or found[2]
return {process, epoch and show(epoch, ARGV[2] == '0') or ''}
