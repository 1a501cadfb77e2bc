-- The history of the overrides: a record for each version, scored by it. Where there was none yet, the version in force is
-- its first.
local function version_in_force()
  local found = call('HMGET', PROCESS, 'sv', 'changed', 'settings', 'schedule', 'changed_by')
  for place = 1, 5 do found[place] = found[place] or '' end
  return found[1] ~= '' and join(found) or nil
end

local function keep_version()
  local record = version_in_force()
  if not record then return end
  local version = tonumber(split(record)[1])
  call('ZADD', VERSIONS, version, record)
  call('ZREMRANGEBYSCORE', VERSIONS, '-inf', version - 100)
end

local function begin_history()
  if call('ZCARD', VERSIONS) == 0 then keep_version() end
end
