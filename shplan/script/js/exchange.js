// Memory that a script shares with nobody: what comes in as bytes, what goes out as bytes.
//
// Evaluated before the script, while there still are array buffers, to a function that makes one exchange.
// No script ever sees a typed array, so that nothing of theirs can be replaced: their methods may be called.
//
// What comes in is a message: four bytes with the length of its header, the header as JSON in ASCII, and from
// the next multiple of eight on the planes, each at a multiple of eight.
(function () {
  "use strict";

  const Bytes = Uint8Array;
  const Doubles = Float64Array;
  const types = {
    f4: Float32Array, f8: Float64Array, u1: Uint8Array, i1: Int8Array,
    u2: Uint16Array, i2: Int16Array, u4: Uint32Array, i4: Int32Array,
  };
  const apply = Reflect.apply;
  const characters = String.fromCharCode;
  const parse = JSON.parse;
  const min = Math.min;
  const STEP = 4096;

  const SMALL = 65536;

  const wanted = new Doubles(1);
  let input = new Bytes(SMALL);
  let held = new Bytes(0);
  let output = held;

  function reserve(bytes, size) {
    return bytes.length < size ? new Bytes(size) : bytes;
  }

  function text(from, to) {
    let found = "";
    for (let at = from; at < to; at += STEP) {
      found += apply(characters, null, input.subarray(at, min(at + STEP, to)));
    }
    return found;
  }

  function headerSize() {
    return input[0] + input[1] * 0x100 + input[2] * 0x10000 + input[3] * 0x1000000;
  }

  return {
    // For who writes into memory: where there is not room enough, the size of the next message is written to
    // the first, and the second gives new room in place of the old.
    wanted() { return wanted; },
    room() {
      input = reserve(input, wanted[0]);
      return input;
    },
    // For who can only hand over text.
    fill(encoded) { input = Bytes.fromBase64(encoded); },

    header() { return parse(text(4, 4 + headerSize())); },
    planes() { return (4 + headerSize() + 7) & -8; },
    plane(type, at, count) { return new types[type](input.buffer, at, count); },

    // Gives the doubles that are to go out.
    leave(count) {
      held = reserve(held, count * 8);
      output = held.subarray(0, count * 8);
      return new Doubles(held.buffer, 0, count);
    },
    left() { return output; },
    leftText() { return output.toBase64(); },
  };
})
