/** Bytes of one packed entry: key 16, slot u48, logIndex u64, digest 16; numbers big-endian. */
export const ENTRY_BYTES = 46;
/** Bytes of one packed hit: place in the look-up u32, logIndex u64, digest 16. */
export const HIT_BYTES = 28;

/**
 * `window` of docs/sequencer.md as one script. Its one key is the shard's state, a hash; every other key has the same hash tag and a name made of
 * the state's: `<generation>:<bucket>` hashes of entries, `<generation>:t` the time slots in use, `<generation>:t<slot>` lists of packed keys.
 *
 * A bucket is kept at about 40 entries by linear hashing (level, split), so that it stays a listpack whatever the window holds: 50 bytes per
 * entry and 16 for its place in the slot's list. Dropped or wiped entries are invisible at once, by a floor and by the generation;
 * they are removed after the commit point, in steps in proportion to the entries that a call adds. Of two entries of one key, the one with the higher
 * index stays, whatever the order in which they come.
 *
 * ARGV: expect, next ('' is absent), '1' to wipe, slot below which to drop or '', name of a new generation, entries, keys to look up.
 * Answers '0' and the stored watermark, or '1' and the hits.
 *
 * Each bucket has a field with an empty name from when it is made until its generation is removed. A bucket without it was lost, and its content is unknown:
 * a server that evicts keys loses single ones. A look-up there removes the watermark, so that the whole index is absent.
 */
export const WINDOW_SCRIPT: string = `
local expect, next, wipe, below, fresh, add, lookup = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7]
local state = KEYS[1]
local base = string.sub(state, 1, -7)
local s = redis.call('HMGET', state, 'wm', 'generation', 'floor', 'level', 'split', 'count', 'old')
local wm, generation = s[1] or '', s[2] or fresh
local floor, level, split, count = tonumber(s[3] or 0), tonumber(s[4] or 0), tonumber(s[5] or 0), tonumber(s[6] or 0)
local old = s[7] or ''

local function bucket(key)
  local h = struct.unpack('>I4', key)
  local b = h % 2 ^ level
  if b < split then b = h % 2 ^ (level + 1) end
  return base .. generation .. ':' .. string.format('%d', b)
end

local function slot_list(of, slot)
  return base .. of .. ':t' .. string.format('%d', slot)
end

local moved = {}
local function grow()
  local from, to = base .. generation .. ':' .. string.format('%d', split), base .. generation .. ':' .. string.format('%d', split + 2 ^ level)
  local fields = redis.call('HGETALL', from)
  for i = 1, #fields, 2 do
    if fields[i] == '' then
      redis.call('HSET', to, '', '')
    elseif struct.unpack('>I4', fields[i]) % 2 ^ (level + 1) == split + 2 ^ level then
      redis.call('HSET', to, fields[i], fields[i + 1])
      moved[#moved + 1] = {from, fields[i]}
    end
  end
  split = split + 1
  if split == 2 ^ level then level, split = level + 1, 0 end
end

local function insert()
  while count + #add / ${ENTRY_BYTES} > 40 * (2 ^ level + split) do grow() end
  local slots = {}
  for at = 1, #add, ${ENTRY_BYTES} do
    local key = string.sub(add, at, at + 15)
    local place = bucket(key)
    local slot, index = struct.unpack('>I6I8', add, at + 16)
    local known = redis.call('HGET', place, key)
    if not known or index >= struct.unpack('>I8', known, 7) then
      count = count + redis.call('HSET', place, key, string.sub(add, at + 16, at + 45))
      local keys = slots[slot]
      if not keys then keys = {} slots[slot] = keys end
      keys[#keys + 1] = key
    end
  end
  for slot, keys in pairs(slots) do
    redis.call('ZADD', base .. generation .. ':t', slot, string.format('%d', slot))
    for i = 1, #keys, 256 do
      redis.call('RPUSH', slot_list(generation, slot), table.concat(keys, '', i, math.min(i + 255, #keys)))
    end
  end
end

local budget = 512 + 2 * #add / ${ENTRY_BYTES}

local function drop_slots()
  while budget > 0 do
    budget = budget - 1
    local slot = redis.call('ZRANGE', base .. generation .. ':t', 0, 0)[1]
    if not slot or tonumber(slot) >= floor then return end
    local keys = redis.call('LPOP', slot_list(generation, slot))
    if not keys then redis.call('ZREM', base .. generation .. ':t', slot) end
    for at = 1, #(keys or ''), 16 do
      local key = string.sub(keys, at, at + 15)
      local place = bucket(key)
      local value = redis.call('HGET', place, key)
      if value and struct.unpack('>I6', value) == tonumber(slot) then count = count - redis.call('HDEL', place, key) end
      budget = budget - 1
    end
  end
end

local function drop_generations()
  while budget > 0 and old ~= '' do
    budget = budget - 1
    local name, left, rest = string.match(old, '^(%w+):(%d+) ?(.*)$')
    left = tonumber(left)
    if left > 0 then
      redis.call('UNLINK', base .. name .. ':' .. string.format('%d', left - 1))
      rest = name .. ':' .. string.format('%d', left - 1) .. (rest == '' and '' or ' ' .. rest)
    else
      local slot = redis.call('ZRANGE', base .. name .. ':t', 0, 0)[1]
      if slot then
        redis.call('UNLINK', slot_list(name, slot))
        redis.call('ZREM', base .. name .. ':t', slot)
        rest = old
      end
    end
    old = rest
  end
end

if wm == expect then
  if next ~= expect or wipe then
    if wipe then
      if s[2] then old = (old == '' and '' or old .. ' ') .. generation .. ':' .. string.format('%d', 2 ^ level + split) end
      generation, floor, level, split, count = fresh, 0, 0, 0, 0
    end
    if wipe or not s[2] then redis.call('HSET', base .. generation .. ':0', '', '') end
    insert()
    s[2] = generation
    if below and below > floor then floor = below end
    redis.call('HSET', state, 'wm', next, 'generation', generation, 'floor', string.format('%d', floor), 'level', level, 'split', split, 'count', string.format('%d', count), 'old', old)
    for _, one in ipairs(moved) do redis.call('HDEL', one[1], one[2]) end
    drop_slots()
    drop_generations()
    redis.call('HSET', state, 'count', string.format('%d', count), 'old', old)
  end
elseif wm ~= next then
  return '0' .. wm
end

local hits = {'1'}
for at = 1, #lookup, 16 do
  local key = string.sub(lookup, at, at + 15)
  local found = redis.call('HMGET', bucket(key), key, '')
  local value = found[1]
  if s[2] and not found[2] then
    redis.call('HDEL', state, 'wm')
    return '0'
  end
  if value and struct.unpack('>I6', value) >= floor then
    hits[#hits + 1] = struct.pack('>I4', (at - 1) / 16) .. string.sub(value, 7)
  end
end
return table.concat(hits)
`;
