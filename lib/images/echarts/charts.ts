// Single modules, because 'echarts/charts' and 'echarts/components' would load everything.
import 'echarts/lib/chart/bar.js';
import 'echarts/lib/chart/heatmap.js';
import 'echarts/lib/chart/line.js';
import 'echarts/lib/chart/scatter.js';
import 'echarts/lib/component/grid.js';
import 'echarts/lib/component/legendPlain.js';
import 'echarts/lib/component/title.js';
import 'echarts/lib/component/visualMap.js';
import { init, use } from './core.ts';
import { SVGRenderer } from './renderer.ts';

use([SVGRenderer]);

export { init };
