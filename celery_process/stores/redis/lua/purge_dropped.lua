#!lua flags=allow-oom
-- include: basics
-- Delete registrations that were dropped long ago or are too many. ARGV: time, how long kept, how many kept, most rows.
hashes(WORKS, STATUSES)
sets(LISTS.d)
local over = math.max(call('ZCARD', DROPPED_AT) - tonumber(ARGV[3]),
  call('ZCOUNT', DROPPED_AT, '-inf', whole(clock() - tonumber(ARGV[2]))))
local most = math.min(over, tonumber(ARGV[4]))
if most <= 0 then return 0 end
local names = call('ZRANGE', DROPPED_AT, 0, most - 1)
call('HDEL', WORKS, unpack(names))
call('HDEL', STATUSES, unpack(names))
call('ZREM', LISTS.d, unpack(names))
call('ZREM', DROPPED_AT, unpack(names))
return #names
