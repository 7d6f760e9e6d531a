// Between a script and its pixels. Evaluated before the script to a function of what the harness knows; its
// answers are JSON as a string.
//
// The loop over the pixels is compiled from a text that is made for the bands of the request, because a sample
// that is an object literal of fixed shape is several times as fast as one that is filled by name. Each pixel
// has a fresh one: nothing leaks from pixel to pixel, and a script may change what it is given.
//
// Runs after the script, which may have replaced what hangs on arrays. So no method of a list is called, and
// what a script must not get, views of memory, is never put into a list.
(function (exchange, scenes, watch, found, describe, margin) {
  "use strict";

  const evaluate = eval;
  // So far down that no line of ours is taken for one of the script.
  const compile = (source) => evaluate(margin + source);
  const isArray = Array.isArray;
  const List = Array;
  const create = Object.create;
  const { put } = scenes;
  const quote = JSON.stringify;
  const isWhole = Number.isSafeInteger;
  const MAX_TEXT = 10000000;
  let state = null;
  let loop = null;
  let wrong = "";

  function refuse(words) {
    wrong = words;
    throw wrong;
  }

  function kindOf(value) {
    const kind = typeof value;
    return kind === "undefined" ? "nothing" : kind === "object" ? "an object" : `a ${kind}`;
  }

  function fill(out, at, from, to) {
    for (let k = from; k < to; k++) out[at + k] = NaN;
  }

  // What is no array: a bare number counts as its only element, nothing as no value.
  function single(value, out, at, bands, id) {
    switch (typeof value) {
      case "number": case "boolean":
        if (bands) out[at] = value;
        fill(out, at, 1, bands);
        return;
      case "undefined": fill(out, at, 0, bands); return;
      case "object":
        if (value === null) { fill(out, at, 0, bands); return; }
        if (isArray(value)) { for (let k = 0; k < bands; k++) out[at + k] = value[k]; return; }
    }
    refuse(`evaluatePixel() returned ${kindOf(value)}${id}; it must return an array of numbers`);
  }

  // What is no object with members for the outputs: it is for one of them.
  function whole(value, out, starts, i) {
    const { outputs, main } = state;
    for (let o = 0; o < outputs.length; o++) {
      const { bands } = outputs[o];
      single(o === main ? value : undefined, out, starts[o] + i * bands, bands, "");
    }
  }

  function stray() {
    let ids = "";
    for (let o = 0; o < state.outputs.length; o++) ids += (o ? ", " : "") + quote(state.outputs[o].id);
    refuse(`evaluatePixel() returned an object without a member for any output: ${ids}`);
  }

  function tools() {
    return {
      isArray, List, single, whole, stray,
      scenes: state.told, inputMetadata: state.inputMetadata,
      customData: state.customData, outputMetadata: state.outputMetadata,
    };
  }

  function guarded(run) {
    wrong = "";
    try {
      return run();
    } catch (error) {
      if (wrong && error === wrong) return `{"unusable":${quote(wrong)}}`;
      return `{"thrown":${describe(error)}}`;
    }
  }

  function list(numbers) {
    let body = "";
    for (let i = 0; i < numbers.length; i++) body += (i ? "," : "") + numbers[i];
    return "[" + body + "]";
  }

  function lists(all) {
    let body = "";
    for (let i = 0; i < all.length; i++) body += (i ? "," : "") + list(all[i]);
    return "[" + body + "]";
  }

  function keep() {
    try {
      return scenes.keep(state);
    } catch (error) {
      if (error === null || typeof error !== "object" || !error.unusable) throw error;
      return refuse(`${error.unusable}() must return the scenes that it was given, or some of them`);
    }
  }

  function outputs() {
    const made = {};
    for (let o = 0; o < state.declared.length; o++) {
      const { id, bands } = state.declared[o];
      put(made, id, { bands });
    }
    return made;
  }

  function readBands(output) {
    const read = [];
    for (let o = 0; o < state.declared.length; o++) {
      const { id } = state.declared[o];
      const one = output[id];
      const count = one === null || one === undefined ? undefined : one.bands;
      if (!isWhole(count) || count < 0) {
        const said = typeof count === "number" ? count : kindOf(count);
        refuse(`updateOutput() left ${said} as the number of bands of output ${quote(id)}`);
      }
      put(read, o, count);
    }
    return read;
  }

  function open(request) {
    // Without a prototype, on which a script may have put members of these names.
    state = create(null);
    state.fused = request.fused;
    state.sources = request.sources;
    state.declared = request.declared;
    state.inputMetadata = request.inputMetadata;
    state.customData = request.customData;
    state.outputMetadata = { userData: {} };
    const kept = keep();
    for (let i = 0; i < kept.length; i++) {
      const source = state.sources[i];
      const left = [];
      for (let k = 0; k < kept[i].length; k++) put(left, k, source.scenes[kept[i][k]]);
      source.scenes = left;
    }
    state.told = scenes.told(state);
    const output = outputs();
    const run = found.updateOutput;
    if (run) run(output, scenes.collections(state));
    return `{"kept":${lists(kept)},"bands":${list(readBands(output))}}`;
  }

  // Outputs and the loop for them.
  function layOut(layout) {
    state.outputs = layout.outputs;
    state.main = layout.main;
    state.planes = layout.planes;
    loop = compile(layout.source)(found.evaluatePixel, tools());
  }

  function views(count) {
    const all = create(null);
    let at = exchange.planes();
    for (let p = 0; p < state.planes.length; p++) {
      const { type, size, scenes: number } = state.planes[p];
      all[p] = exchange.plane(type, at, number * count);
      at = (at + size * number * count + 7) & -8;
    }
    return all;
  }

  // The first brings the layout along, and the last may bring the end.
  function block(request) {
    if (request.layout) layOut(request.layout);
    const count = request.pixels;
    const starts = create(null);
    let doubles = 0;
    for (let o = 0; o < state.outputs.length; o++) {
      starts[o] = doubles;
      doubles += state.outputs[o].bands * count;
    }
    loop(count, views(count), exchange.leave(doubles), starts);
    return request.last ? userData() : "{}";
  }

  // How many values the first pixel returns that returns any; nobody said so before.
  function probe(request) {
    const count = request.pixels;
    const first = compile(request.source)(found.evaluatePixel, tools());
    state.planes = request.planes;
    const bands = first(count, views(count));
    if (!isWhole(bands) || bands < 0) {
      refuse("the script returned a list without a length");
    }
    return `{"bands":${bands}}`;
  }

  function userData() {
    const told = state.outputMetadata.userData;
    const text = quote(told === undefined ? null : told);
    if (text && text.length > MAX_TEXT) refuse("outputMetadata.userData is too large");
    return `{"userData":${text || "null"}}`;
  }

  function finish() {
    const run = found.updateOutputMetadata;
    run(scenes.toldAtLast(state), state.inputMetadata, state.outputMetadata);
    return userData();
  }

  const operations = {
    scenes: open, probe, block, finish, watch: (request) => watch(found.evaluatePixel, state, request),
  };
  return (request) => guarded(() => operations[request.operation](request));
})
