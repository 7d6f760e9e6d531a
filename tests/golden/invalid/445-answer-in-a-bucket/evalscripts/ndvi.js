//VERSION=3
function setup() {
  return {input: ["B08", "dataMask"], output: [{id: "default", bands: 1}, {id: "dataMask", bands: 1}]};
}
function evaluatePixel(sample) {
  return {default: [sample.B08], dataMask: [sample.dataMask]};
}
