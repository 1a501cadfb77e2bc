-- Which state may follow which: ITEM_MOVES and RUN_MOVES, put before this, are made of `protocol.states`. Each write of
-- a state is checked here, before a script's first write: what it wrote before an error stays written.
local function moved(entity, moves, was, to)
  if was ~= to and not string.find(moves, ' ' .. was .. '>' .. to .. ' ', 1, true) then
    error('illegal transition ' .. entity .. ' ' .. was .. '>' .. to, 0)
  end
  return to
end

local function item_moved(was, to) return moved('item', ITEM_MOVES, was, to) end
local function run_moved(was, to) return moved('run', RUN_MOVES, was, to) end
