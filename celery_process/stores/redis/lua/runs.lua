#!lua flags=no-writes
-- include: basics showing
-- Return runs below an epoch, newest first. ARGV: time, epoch (or empty), limit.
local below = ARGV[2] == '' and '+inf' or '(' .. ARGV[2]
local shown = {}
for place, epoch in ipairs(call('ZREVRANGEBYSCORE', RUNS, below, '-inf', 'LIMIT', 0, ARGV[3])) do shown[place] = show(epoch) end
return shown
