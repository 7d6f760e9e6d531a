// What a script is told of scenes, and what it keeps of them. Evaluated before the script to a function of
// the functions that the script will have (by name, empty until it ran).
//
// `scenes` serves two forms at once. Today's has `orbits` or `tiles`, with dates as strings; the one before was
// an array, with dates as objects. So it is an object that looks like an array to who counts or walks it, and
// shows only `orbits` or `tiles` to who lists or prints its members. With several collections, published scripts
// read `scenes.<id>.scenes.orbits` as well as `scenes.<id>.orbits`, so that there are both ways.
//
// Runs after the script, which may have replaced what hangs on arrays; so no method of a list is called.
(function (found) {
  "use strict";

  const define = Object.defineProperty;
  const create = Object.create;
  const assign = Object.assign;
  const isArray = Array.isArray;
  const listLike = Array.prototype;
  const Instant = Date;
  const Known = Map;
  const uncurry = Function.prototype.bind.bind(Function.prototype.call);
  const note = uncurry(Map.prototype.set);
  const look = uncurry(Map.prototype.get);
  const members = { ORBIT: "orbits", TILE: "tiles" };

  // Not by assignment, which asks the prototypes of lists.
  function put(target, name, value) {
    define(target, name, { value, writable: true, configurable: true, enumerable: true });
  }

  function each(list, make) {
    const made = [];
    for (let i = 0; i < list.length; i++) put(made, i, make(list[i], i));
    return made;
  }

  function hidden(target, name, value) {
    define(target, name, { value, writable: true, configurable: true, enumerable: false });
  }

  // `idx` is where its samples stand among those of its source.
  function dated(scene, idx) {
    const from = scene.date === undefined ? scene.dateFrom : scene.date;
    const told = assign({ idx }, scene);
    return from === undefined ? told : assign(told, { date: new Instant(from) });
  }

  function listForm(scenes) {
    const told = create(listLike);
    for (let i = 0; i < scenes.length; i++) hidden(told, i, dated(scenes[i], i));
    hidden(told, "length", scenes.length);
    return told;
  }

  function bothForms(source, scenes) {
    const told = listForm(scenes);
    const member = members[source.mosaicking];
    if (member) put(told, member, scenes);
    return told;
  }

  function formOf(state, source, scenes) {
    if (!state.fused) return bothForms(source, scenes);
    const told = listForm(scenes);
    const member = members[source.mosaicking];
    if (member) hidden(told, member, scenes);
    put(told, "scenes", bothForms(source, scenes));
    return told;
  }

  function withoutTiles(scene) {
    const told = assign({}, scene);
    delete told.tiles;
    return told;
  }

  // Keyed by source where there are several, else as it is.
  function keyed(state, make) {
    if (!state.fused) return make(state.sources[0], 0);
    const all = {};
    for (let i = 0; i < state.sources.length; i++) {
      put(all, state.sources[i].id, make(state.sources[i], i));
    }
    return all;
  }

  function instant(text) {
    return text === null ? undefined : new Instant(text);
  }

  function collectionOf(source, scenes) {
    return { from: instant(source.from), to: instant(source.to), scenes };
  }

  // Which of the given scenes are among the answered, in the order of the answer; by identity, else by the
  // number that each carries.
  function indices(answered, given) {
    if (!isArray(answered)) return null;
    const places = new Known();
    for (let i = 0; i < given.length; i++) note(places, given[i], i);
    const kept = [];
    for (let i = 0; i < answered.length; i++) {
      const scene = answered[i];
      let at = look(places, scene);
      if (at === undefined && scene !== null && typeof scene === "object") at = +scene.__idx;
      if (!(at >= 0 && at < given.length && at % 1 === 0)) return null;
      put(kept, i, at);
    }
    return kept;
  }

  function everything(source) {
    const all = [];
    for (let i = 0; i < source.scenes.length; i++) put(all, i, i);
    return all;
  }

  function unusable(name) {
    return { unusable: name };
  }

  function preProcessed(state) {
    const given = each(state.sources, (source) => each(source.scenes, withoutTiles));
    // A list of its own, because scripts sort and cut it in place.
    const asked = keyed(state, (source, i) =>
      collectionOf(source, bothForms(source, each(given[i], (one) => one))));
    const run = found.preProcessScenes;
    const value = run(asked);
    // Nothing returned: what was changed in place counts.
    const answer = value === undefined || value === null ? asked : value;
    // An empty list is what some return for "none".
    if (isArray(answer) && answer.length === 0) return each(state.sources, () => []);
    return each(state.sources, (source, i) => {
      const member = members[source.mosaicking];
      if (!member) return everything(source);
      const own = state.fused ? answer[source.id] : answer;
      const scenes = own && own.scenes;
      const kept = scenes ? indices(scenes[member], given[i]) : null;
      if (!kept) throw unusable("preProcessScenes");
      return kept;
    });
  }

  function filtered(state) {
    return each(state.sources, (source) => {
      if (!members[source.mosaicking]) return everything(source);
      const given = each(source.scenes, dated);
      const limits = { from: instant(source.from), to: instant(source.to) };
      const run = found.filterScenes;
      const kept = indices(run(each(given, (one) => one), assign({}, state.inputMetadata, limits)), given);
      if (!kept) throw unusable("filterScenes");
      return kept;
    });
  }

  return {
    put,
    keep(state) {
      // Source: documentation, "preProcessScenes": it is for ORBIT and TILE.
      const choosable = state.sources.some((source) => members[source.mosaicking]);
      if (found.preProcessScenes && choosable) return preProcessed(state);
      return found.filterScenes ? filtered(state) : each(state.sources, everything);
    },
    // What evaluatePixel() is told: with a single sample, of no scene.
    told(state) {
      return keyed(state, (source) =>
        formOf(state, source, members[source.mosaicking] ? source.scenes : []));
    },
    // What updateOutputMetadata() is told: also of the scenes that a single sample is made of, as tiles.
    toldAtLast(state) {
      return keyed(state, (source) => {
        const told = formOf(state, source, source.scenes);
        if (!members[source.mosaicking] && source.scenes.length) put(told, "tiles", source.scenes);
        return told;
      });
    },
    collections(state) {
      return keyed(state, (source) => collectionOf(source, bothForms(source, source.scenes)));
    },
  };
})
