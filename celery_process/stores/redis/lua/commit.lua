#!lua
-- include: basics
-- Write what a step decided, if the process is as the step read it; return whether it is. ARGV: time, version, then
-- commands, each as its number of words and its words; the second is the end of a key of the process.
local version = call('HGET', PROCESS, 'v') or ''
if version ~= ARGV[2] then return 0 end
local commands, at = {}, 3
while at <= #ARGV do
  local words, count = {}, tonumber(ARGV[at])
  for place = 1, count do words[place] = ARGV[at + place] end
  words[2] = P .. words[2]
  commands[#commands + 1] = words
  at = at + count + 1
end
-- A key of another type fails here, before the first write: what a script wrote before an error stays written.
for _, words in ipairs(commands) do call(string.sub(words[1], 1, 1) == 'H' and 'HLEN' or 'ZCARD', words[2]) end
for _, words in ipairs(commands) do call(unpack(words)) end
call('HSET', PROCESS, 'v', whole(tonumber(version ~= '' and version or 0) + 1))
return 1
