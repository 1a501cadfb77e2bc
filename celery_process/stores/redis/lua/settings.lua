#!lua
-- include: basics history
-- Replace the overrides whose flag is 1. ARGV: time, expected version (or empty), by, then settings and schedule, each as a
-- flag and a text. Returns whether the version is not the expected one, and the version.
local old = call('HMGET', PROCESS, 'settings', 'schedule', 'sv')
local version = tonumber(old[3] or 0)
local settings, schedule = ARGV[4] == '1', ARGV[6] == '1'
if (not settings or old[1] == ARGV[5]) and (not schedule or old[2] == ARGV[7]) then
  if settings or schedule then call('HSET', PROCESS, 'changed', whole(clock()), 'changed_by', ARGV[3]) end
  return {0, version}
end
if ARGV[2] ~= '' and tonumber(ARGV[2]) ~= version then return {1, version} end
begin_history()
local fields = {'sv', whole(version + 1), 'changed', whole(clock()), 'changed_by', ARGV[3]}
if settings then fields[#fields + 1], fields[#fields + 2] = 'settings', ARGV[5] end
if schedule then fields[#fields + 1], fields[#fields + 2] = 'schedule', ARGV[7] end
call('HSET', PROCESS, unpack(fields))
keep_version()
return {0, version + 1}
