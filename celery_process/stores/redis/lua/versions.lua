#!lua flags=no-writes
-- include: basics history
-- Return the records of the newest versions of the overrides, newest first. ARGV: time, limit.
local found = call('ZREVRANGE', VERSIONS, 0, ARGV[2] - 1)
if #found == 0 then return {version_in_force()} end
return found
