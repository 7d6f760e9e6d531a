// Between a script and us. Evaluated before the script, in the same engine, to a function that gives our
// functions by name: `load` runs a program, `run` does what the message in our memory says; both return JSON
// as a string. The others are those of exchange.js.
//
// Everything that is needed later is kept here before the script runs, because a script may redefine
// whatever it can reach: no method is called and no member is looked up afterwards that a script could
// have replaced. Strict, so that no function of ours can be reached through a call stack.
(function (installHelpers, makeExchange, makeScenes, makeWatch, makePixels, names, lines) {
  "use strict";

  const uncurry = Function.prototype.bind.bind(Function.prototype.call);
  const sourceOf = uncurry(Function.prototype.toString);
  const indexOf = uncurry(String.prototype.indexOf);
  const slice = uncurry(String.prototype.slice);
  const isArray = Array.isArray;
  const quote = JSON.stringify;
  const isFinite = Number.isFinite;
  const string = String;
  const ANY_OBJECT = '"text":"[object Object]"';

  const found = Object.create(null);
  const exchange = makeExchange();
  const scenes = makeScenes(found);
  const watch = makeWatch(describe, scenes.put);
  const pixels = makePixels(exchange, scenes, watch, found, describe, "\n".repeat(lines));

  // What the language has without memory that no limit counts (array buffers), without timers and
  // without other ways out; everything else that an engine brings along goes.
  const kept = new Set([
    "Object", "Function", "Array", "Number", "Boolean", "String", "Symbol", "BigInt", "Math", "JSON",
    "Date", "RegExp", "Promise", "Proxy", "Reflect", "Map", "Set", "WeakMap", "WeakSet", "WeakRef",
    "FinalizationRegistry", "Iterator", "Intl", "Error", "AggregateError", "EvalError", "RangeError",
    "ReferenceError", "SyntaxError", "TypeError", "URIError", "InternalError", "SuppressedError",
    "globalThis", "Infinity", "NaN", "undefined", "eval", "isFinite", "isNaN", "parseFloat", "parseInt",
    "decodeURI", "decodeURIComponent", "encodeURI", "encodeURIComponent", "escape", "unescape",
  ]);
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    if (kept.has(name)) continue;
    // What a script declared with `var`, as an engine's own timers are, can only be emptied.
    if (!Reflect.deleteProperty(globalThis, name)) globalThis[name] = undefined;
  }
  installHelpers(globalThis);

  // The same script on the same pixels is the same image, on every machine and each time.
  let seed = 0x2545f491;
  Math.random = () => {
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    return (seed >>> 0) / 4294967296;
  };

  // The members of a setup that mean something; an object of anything else is as good as empty.
  const members = [
    "input", "output", "mosaicking", "bands", "units", "metadata", "datasource",
    "id", "sampleType", "nodataValue",
  ];
  const MAX_DEPTH = 6;
  const MAX_VALUES = 20000;
  const MAX_TEXT = 1000000;
  let left = 0;
  let room = 0;

  function text(value) {
    room -= value.length;
    if (room < 0) throw left;
    return quote(value);
  }

  function odd(name) {
    return '{"$":"' + name + '"}';
  }

  function list(value, depth) {
    let body = "";
    const length = value.length;
    for (let i = 0; i < length; i++) body += (i ? "," : "") + json(value[i], depth + 1);
    return "[" + body + "]";
  }

  function object(value, depth) {
    let body = "";
    for (let i = 0; i < members.length; i++) {
      const member = value[members[i]];
      if (member !== undefined) {
        body += (body ? "," : "") + quote(members[i]) + ":" + json(member, depth + 1);
      }
    }
    return "{" + body + "}";
  }

  function json(value, depth) {
    if (--left < 0) throw left;
    if (value === null) return "null";
    switch (typeof value) {
      case "string": return text(value);
      case "boolean": return value ? "true" : "false";
      case "number": return isFinite(value) ? "" + value : odd("" + value);
      case "object": break;
      default: return odd(typeof value);
    }
    if (depth >= MAX_DEPTH) return odd("something nested too deeply");
    return isArray(value) ? list(value, depth) : object(value, depth);
  }

  function words(value) {
    const plain = typeof value === "string" ? value : string(value);
    return quote(slice(plain, 0, 2000));
  }

  // What was thrown may be anything, with getters that throw again.
  function describe(error) {
    if (error === null) return '{"text":"null","nothing":true}';
    let told = '"text":"an object was thrown"';
    try {
      told = '"text":' + words(error);
      if (typeof error === "object") {
        if (told === ANY_OBJECT && typeof error.message === "string") {
          told = '"text":' + words(error.message);
        }
        const stack = error.stack;
        if (typeof stack === "string") told += ',"stack":' + quote(slice(stack, 0, 20000));
      }
    } catch (again) {
      // What was told so far stands.
    }
    return "{" + told + "}";
  }

  function lookUp(thunk) {
    try {
      const value = thunk();
      return typeof value === "function" ? value : undefined;
    } catch (unset) {
      // A `const` that the script did not reach.
      return undefined;
    }
  }

  function placesIn(source) {
    let body = "";
    for (let i = 0; i < names.length; i++) {
      const own = found[names[i]];
      if (own) body += (body ? "," : "") + quote(names[i]) + ":" + indexOf(source, sourceOf(own));
    }
    return "{" + body + "}";
  }

  // Runs the top level. The script's first act, which we wrote, is to hand over a function for each name.
  function load(program, expected) {
    const source = sourceOf(program);
    if (source !== expected) return '{"unbalanced":true}';
    let thunks;
    let thrown = "";
    const take = (...given) => { thunks = thunks || given; };
    try {
      program(take);
    } catch (error) {
      thrown = ',"thrown":' + describe(error);
    }
    for (let i = 0; i < names.length; i++) found[names[i]] = lookUp(thunks[i]);
    return '{"functions":' + placesIn(source) + thrown + "}";
  }

  // A script without functions is the body of one: evaluatePixel, of its bands.
  function loadSimple(program, expected) {
    if (sourceOf(program) !== expected) return '{"unbalanced":true}';
    found.evaluatePixel = program;
    return "{}";
  }

  function setup() {
    left = MAX_VALUES;
    room = MAX_TEXT;
    const run = found.setup;
    try {
      const value = run();
      return '{"value":' + (value === undefined ? odd("nothing") : json(value, 0)) + "}";
    } catch (error) {
      if (left < 0 || room < 0) return '{"large":true}';
      return '{"thrown":' + describe(error) + "}";
    }
  }

  // What was put together from parts is cut out whole: QuickJS hands over no string that is still in parts.
  function run(encoded) {
    if (encoded !== undefined) exchange.fill(encoded);
    const request = exchange.header();
    return slice(request.operation === "setup" ? setup() : pixels(request), 0);
  }

  const parts = {
    run,
    load: (program, expected) => slice(load(program, expected), 0),
    loadSimple: (program, expected) => slice(loadSimple(program, expected), 0),
    wanted: exchange.wanted,
    room: exchange.room,
    left: exchange.left,
    leftText: exchange.leftText,
  };
  // Called before the script runs: it is given its function's name by an argument, and arguments are handed
  // over in an array, of which a script that ran can change the ways.
  return (name) => parts[name];
})
