//VERSION=3
// Water vapour is asked for by the name that the other product has, and red in a unit that it does not have.
function setup() {
  return {
    input: [{bands: ["B04", "B10", "SCL"], units: "REFLECTANCE"}],
    output: [{id: "ndvi", bands: 1, sampleType: "FLOAT32"}, {id: "mask", bands: 1}],
  };
}

function evaluatePixel(sample) {
  return {ndvi: [sample.B10 - sample.B04], mask: [sample.SCL === 4 ? 1 : 0]};
}
