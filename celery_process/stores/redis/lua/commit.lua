#!lua
-- include: basics
-- Write what a step decided, if what it read still stands; return whether it does. ARGV: time, whether the version of the
-- process counts on, then words in groups, each as its number of words and its words; the second is the end of a key of the
-- process. A group that begins with IS or BEGINS is a condition: of the hash, the fields that follow have, or begin with, the
-- text after each; an empty text is also that of a field that is not there. MAX is a field that only rises. All other groups
-- are commands.
local commands, at = {}, 3
while at <= #ARGV do
  local words, count, fields = {}, tonumber(ARGV[at]), {}
  for place = 1, count do words[place] = ARGV[at + place] end
  words[2] = P .. words[2]
  if words[1] == 'IS' or words[1] == 'BEGINS' then
    for place = 3, count, 2 do fields[#fields + 1] = words[place] end
    for place, found in ipairs(many('HMGET', words[2], fields)) do
      local text = words[2 + 2 * place]
      local part = found and words[1] == 'BEGINS' and text ~= '' and string.sub(found, 1, #text) or found or ''
      if part ~= text then return 0 end
    end
  elseif words[1] ~= 'MAX' or tonumber(call('HGET', words[2], words[3]) or 0) < tonumber(words[4]) then
    if words[1] == 'MAX' then words[1] = 'HSET' end
    commands[#commands + 1] = words
  end
  at = at + count + 1
end
-- A key of another type fails here, before the first write: what a script wrote before an error stays written.
for _, words in ipairs(commands) do
  local kind = string.sub(words[1], 1, 1)
  if kind ~= 'U' then call(kind == 'H' and 'HLEN' or 'ZCARD', words[2]) end
end
local version = ARGV[2] == '1' and whole(tonumber(call('HGET', PROCESS, 'v') or 0) + 1)
for _, words in ipairs(commands) do call(unpack(words)) end
if version then call('HSET', PROCESS, 'v', version) end
return 1
