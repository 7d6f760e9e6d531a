// A few pixels under observation: which members of its samples a script reads, and what it returns.
//
// Evaluated before the script to a function of what is kept of the language; its answer is JSON as a string, with
// counts. A pixel that throws is counted and the next is tried, so that one branch does not hide the others.
//
// Runs after the script, which may have replaced what hangs on objects and lists. So no method is called that a
// script can reach, and what is noted lies in objects without a prototype.
(function (describe, put) {
  "use strict";

  const Watched = Proxy;
  const Failure = Error;
  const isArray = Array.isArray;
  const isFinite = Number.isFinite;
  const create = Object.create;
  const quote = JSON.stringify;
  const keysOf = Reflect.ownKeys;
  const List = Array;
  const uncurry = Function.prototype.bind.bind(Function.prototype.call);
  const call = Reflect.apply;
  const owns = uncurry(Object.prototype.hasOwnProperty);
  const MOST_NAMES = 200;
  const MOST_BANDS = 64, MOST = 0.9, NEAR = 0.5;
  let noted = null;

  function fresh() {
    return { count: 0, names: create(null) };
  }

  // The first sight of each name keeps the place where it was read.
  function see(book, name) {
    if (book.names[name] || book.count >= MOST_NAMES) return;
    book.count++;
    let told = "{}";
    try {
      throw new Failure("seen");
    } catch (error) {
      told = describe(error);
    }
    book.names[name] = told;
  }

  function sampleOf(source, bands, values) {
    const sample = {};
    for (let b = 0; b < bands.length; b++) {
      const value = values[b];
      put(sample, bands[b], value === null ? NaN : value);
    }
    const book = noted.sources[source];
    return new Watched(sample, {
      get(target, name) {
        if (typeof name !== "symbol") {
          if (owns(target, name)) book.reads.names[name] = "{}";
          // Whoever writes a sample as JSON asks for this member; it is no band.
          else if (!(name in target) && name !== "toJSON") see(book.strays, name);
        }
        return target[name];
      },
      has(target, name) {
        if (typeof name !== "symbol" && owns(target, name)) book.reads.names[name] = "{}";
        return name in target;
      },
      ownKeys(target) {
        book.walked = true;
        return keysOf(target);
      },
    });
  }

  function listOf(source, bands, scenes) {
    const list = new List(scenes.length);
    for (let s = 0; s < scenes.length; s++) put(list, s, sampleOf(source, bands, scenes[s]));
    const book = noted.sources[source];
    return new Watched(list, {
      get(target, name) {
        if (typeof name !== "symbol" && !(name in target) && !(+name >= 0)) see(book.listStrays, name);
        return target[name];
      },
    });
  }

  function samplesOf(request, pixel) {
    const { sources, fused } = request;
    const made = {};
    for (let i = 0; i < sources.length; i++) {
      const { id, bands, single, pixels } = sources[i];
      const scenes = pixels[pixel];
      const value = single && !fused ? sampleOf(i, bands, scenes[0]) : listOf(i, bands, scenes);
      if (!fused) return value;
      put(made, id, value);
    }
    return new Watched(made, {
      get(target, name) {
        if (typeof name !== "symbol" && !(name in target)) see(noted.topStrays, name);
        return target[name];
      },
    });
  }

  function tell(output, value) {
    const kind = typeof value;
    if (value === undefined || value === null) output.nothing++;
    else if (kind === "number" || kind === "boolean") { output.bare++; weigh(output, value, 0); }
    else if (isArray(value)) {
      const length = value.length;
      output.lengths[length] = (output.lengths[length] || 0) + 1;
      for (let k = 0; k < length && k < output.bands; k++) weigh(output, value[k], k);
    } else output.odd++;
  }

  function weigh(output, value, band) {
    const kind = typeof value;
    if (kind === "boolean") return;
    if (value === undefined || value === null) { output.lacking++; return; }
    // A list of one number is read as that number.
    if (kind !== "number" && isArray(value) && value.length === 1 && typeof value[0] === "number") return;
    if (kind !== "number") {
      output.oddValues++;
      if (!output.oddKind) output.oddKind = isArray(value) ? "list" : kind === "string" ? "text" : "object";
      return;
    }
    if (!isFinite(value)) { output.notFinite++; return; }
    output.values++;
    if (value < output.least || value > output.greatest) output.outside++;
    const size = value < 0 ? -value : value, between = size > 0 && size < 1;
    if (between) output.between++;
    if (band >= MOST_BANDS) return;
    output.ofBand[band] = (output.ofBand[band] || 0) + 1;
    if (between) output.fractions[band] = (output.fractions[band] || 0) + 1;
    if (!(size <= output.peaks[band])) output.peaks[band] = size;
  }

  function judge(outputs, main, value) {
    if (value === null || typeof value !== "object" || isArray(value)) {
      if (value === undefined || value === null) noted.empty++;
      else if (outputs.length) {
        for (let o = 0; o < outputs.length; o++) {
          if (o === main) tell(outputs[o], value);
          else outputs[o].missing++;
        }
      }
      return;
    }
    for (let o = 0; o < outputs.length; o++) {
      const own = value[outputs[o].id];
      if (own === undefined && !owns(value, outputs[o].id)) outputs[o].missing++;
      else tell(outputs[o], own);
    }
    const ids = keysOf(value);
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i];
      let known = typeof id === "symbol";
      for (let o = 0; o < outputs.length && !known; o++) known = outputs[o].id === id;
      if (!known && noted.strayIds.count < MOST_NAMES && !noted.strayIds.names[id]) {
        noted.strayIds.count++;
        noted.strayIds.names[id] = "{}";
      }
    }
  }

  function namesIn(book) {
    let body = "";
    for (const name in book.names) body += (body ? "," : "") + quote(name) + ":" + book.names[name];
    return "{" + body + "}";
  }

  function sourcesTold(sources) {
    let body = "";
    for (let i = 0; i < sources.length; i++) {
      const { reads, strays, listStrays, walked } = sources[i];
      body += (body ? "," : "") + `{"reads":${namesIn(reads)},"strays":${namesIn(strays)},` +
        `"listStrays":${namesIn(listStrays)},"walked":${walked}}`;
    }
    return "[" + body + "]";
  }

  // Of all bands, where most of their values are some; else of the band that has the largest share of them:
  // [fractions, values]. A band that goes beyond 1, or nowhere near it, may be of shares in percent.
  function most(output) {
    if (output.between > MOST * output.values) return `[${output.between},${output.values}]`;
    let fractions = 0, values = 0;
    for (const band in output.ofBand) {
      if (output.peaks[band] > 1 || output.peaks[band] < NEAR) continue;
      const own = output.fractions[band] || 0, all = output.ofBand[band];
      if (!values || own * values > fractions * all) { fractions = own; values = all; }
    }
    return `[${fractions},${values}]`;
  }

  function outputsTold(outputs) {
    let body = "";
    for (let o = 0; o < outputs.length; o++) {
      const one = outputs[o];
      let lengths = "";
      for (const length in one.lengths) lengths += (lengths ? "," : "") + quote(length) + ":" + one.lengths[length];
      body += (body ? "," : "") + `{"missing":${one.missing},"nothing":${one.nothing},"bare":${one.bare},` +
        `"odd":${one.odd},"oddValues":${one.oddValues},"oddKind":"${one.oddKind}","lacking":${one.lacking},"notFinite":${one.notFinite},` +
        `"values":${one.values},"outside":${one.outside},"fractions":${most(one)},"lengths":{${lengths}}}`;
    }
    return "[" + body + "]";
  }

  function open(request) {
    noted = create(null);
    noted.sources = create(null);
    for (let i = 0; i < request.sources.length; i++) {
      noted.sources[i] = { reads: fresh(), strays: fresh(), listStrays: fresh(), walked: false };
    }
    noted.sources.length = request.sources.length;
    noted.topStrays = fresh();
    noted.strayIds = fresh();
    noted.empty = 0;
    noted.thrown = 0;
    noted.first = "";
    const outputs = create(null);
    for (let o = 0; o < request.outputs.length; o++) {
      const { id, bands, least, greatest } = request.outputs[o];
      outputs[o] = {
        id, bands, least, greatest, missing: 0, nothing: 0, bare: 0, odd: 0, oddValues: 0, oddKind: "", lacking: 0, notFinite: 0,
        values: 0, outside: 0, between: 0, ofBand: create(null), fractions: create(null), peaks: create(null),
        lengths: create(null),
      };
    }
    outputs.length = request.outputs.length;
    return outputs;
  }

  // The bands of a simple script are its arguments; nobody sees which of them it reads.
  function asked(run, state, request, pixel) {
    if (request.simple) return call(run, undefined, request.sources[0].pixels[pixel][0]);
    const { told, inputMetadata, customData, outputMetadata } = state;
    return run(samplesOf(request, pixel), told, inputMetadata, customData, outputMetadata);
  }

  return function (run, state, request) {
    const outputs = open(request);
    for (let i = 0; i < request.count; i++) {
      try {
        judge(outputs, request.main, asked(run, state, request, i));
      } catch (error) {
        if (!noted.thrown++) noted.first = describe(error);
      }
    }
    return `{"sources":${sourcesTold(noted.sources)},"topStrays":${namesIn(noted.topStrays)},` +
      `"strayIds":${namesIn(noted.strayIds)},"empty":${noted.empty},"failed":${noted.thrown},` +
      `"first":${noted.first || "{}"},"outputs":${outputsTold(outputs)}}`;
  };
})
