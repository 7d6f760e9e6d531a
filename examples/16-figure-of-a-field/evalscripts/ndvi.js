//VERSION=3
// Vegetation in colours, with the cloudless pixels alone, and the numbers behind it.
function setup() {
  return {
    input: ["B04", "B08", "dataMask"],
    output: [
      {id: "default", bands: 4, sampleType: "UINT8"},
      {id: "ndvi", bands: 1, sampleType: "FLOAT32"},
    ],
  };
}

const colours = new ColorRampVisualizer([
  [0.0, 0xc8b48c],
  [0.3, 0xe6e696],
  [0.6, 0x5aaa46],
  [0.9, 0x0a5a1e],
]);

function evaluatePixel(sample) {
  const ndvi = (sample.B08 - sample.B04) / (sample.B08 + sample.B04);
  const colour = colours.process(ndvi).map((part) => Math.round(part * 255));
  return {default: [...colour, 255 * sample.dataMask], ndvi: [sample.dataMask ? ndvi : NaN]};
}
