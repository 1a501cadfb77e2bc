#!lua flags=no-writes
-- include: basics
-- Return how many items each list has. ARGV: time.
return {call('ZCARD', LISTS.a), call('ZCARD', LISTS.c), call('ZCARD', LISTS.d)}
