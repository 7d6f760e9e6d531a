"""
Names that a script may use without declaring them.
"""

from __future__ import annotations

# Source: ECMA-262, "The Global Object", without what the engine's world lacks.
_LANGUAGE = frozenset(
    [
        "Object",
        "Function",
        "Array",
        "Number",
        "Boolean",
        "String",
        "Symbol",
        "BigInt",
        "Math",
        "JSON",
        "Date",
        "RegExp",
        "Promise",
        "Proxy",
        "Reflect",
        "Map",
        "Set",
        "WeakMap",
        "WeakSet",
        "WeakRef",
        "FinalizationRegistry",
        "Iterator",
        "Intl",
        "Error",
        "AggregateError",
        "EvalError",
        "RangeError",
        "ReferenceError",
        "SyntaxError",
        "TypeError",
        "URIError",
        "globalThis",
        "Infinity",
        "NaN",
        "undefined",
        "eval",
        "isFinite",
        "isNaN",
        "parseFloat",
        "parseInt",
        "decodeURI",
        "decodeURIComponent",
        "encodeURI",
        "encodeURIComponent",
        "escape",
        "unescape",
        "arguments",
    ]
)
# Source: documentation, "Evalscript functions", and what published scripts use besides.
HELPERS = frozenset(
    [
        "ColorGradientVisualizer",
        "ColorMapVisualizer",
        "ColorRampVisualizer",
        "DefaultVisualizer",
        "HighlightCompressVisualizer",
        "HighlightCompressVisualizerSingle",
        "Identity",
        "JAVA_DOUBLE_MAX_VAL",
        "Mosaicking",
        "SampleType",
        "blueRed",
        "colorBlend",
        "combine",
        "decodeL8C2Qa",
        "decodeS3OLCIQualityFlags",
        "greenWhite",
        "index",
        "int2rgb",
        "inverse",
        "normalizeRGB",
        "oceanColor",
        "redTemperature",
        "rgb2int",
        "valueInterpolate",
        "valueMap",
    ]
)
# What V8 brings along, and our world lacks: memory that no limit counts, and a place to print to.
WITHHELD = frozenset(
    [
        *("ArrayBuffer", "SharedArrayBuffer", "DataView", "Atomics", "WebAssembly", "console"),
        *("Int8Array", "Int16Array", "Int32Array", "Uint8Array", "Uint8ClampedArray"),
        *("Uint16Array", "Uint32Array", "Float16Array", "Float32Array", "Float64Array"),
        *("BigInt64Array", "BigUint64Array"),
    ]
)
GLOBALS = _LANGUAGE | HELPERS
