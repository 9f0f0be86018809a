// What the page can do beyond being read: values of points, arms on and off,
// axes, single seeds, language, light and dark, and what is behind a cell.
// It makes its own controls, so that nothing dead stands there without it, and
// it asks for nothing from elsewhere. The state is in the address.
(() => {
  'use strict';
  const root = document.documentElement;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const json = (node) => (node ? JSON.parse(node.textContent) : null);
  const make = (name, attributes = {}, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };

  // State. What is as at first does not stand in the address.
  const query = new URLSearchParams(location.search);
  const state = {
    lang: query.get('lang') === 'zh' ? 'zh' : 'en',
    theme: ['light', 'dark'].includes(query.get('theme')) ? query.get('theme') : '',
    axis: query.get('axis') === 'linear' ? 'linear' : '',
    curves: query.get('curves') === 'seeds' ? 'seeds' : '',
    hide: new Set((query.get('hide') || '').split(',').filter(Boolean)),
  };
  const remember = () => {
    const now = new URLSearchParams(location.search);
    const values = { ...state, lang: state.lang === 'zh' ? 'zh' : '', hide: [...state.hide].join() };
    for (const [key, value] of Object.entries(values)) {
      now.delete(key);
      if (value) now.set(key, value);
    }
    const text = now.toString().replaceAll('%2C', ',');
    // Some browsers keep the address of a local file as it is.
    try { history.replaceState(null, '', (text ? '?' + text : location.pathname) + location.hash); } catch { }
  };

  // Words in both languages: as elements, as attributes, and inside values.
  const both = (en, zh) => [make('span', { lang: 'en' }, en), make('span', { lang: 'zh-Hans' }, zh)];
  const named = [];
  const name = (node, en, zh, attribute = 'aria-label') => { named.push([node, attribute, en, zh]); return node; };
  for (const image of all('img[data-alt-zh]')) name(image, image.alt, image.dataset.altZh, 'alt');
  const WORDS = [
    ['median |g|', '|g| 的中位数'], ['median of digit', '中位位置，数字'], ['images', '图像数'],
    ['reached by', '已达标比例'], ['median', '中位数'], ['more than ', '超过 '],
    ['operations a byte', '每字节运算次数'], ['operations a second', '每秒运算次数'],
    ['bytes a second', '每秒字节数'], ['source', '来源'], ['learning rate', '学习率'], ['validation error', '验证误差'],
    ['test error', '测试误差'], ['candidates tried', '已试候选设置数'], ['difference', '相对差'],
    ['stopped early', '提前停止'], ['diverged', '发散'], ['epoch', '轮'], ['seed', '随机种子'],
    ['mean', '均值'], ['layer', '层'], [' to ', ' 至 '],
    ['simulation', '模拟'], ['independent computation', '独立计算'], ['independent prototype', '独立原型程序'],
    ['public walk-through', '公开的讲解'], ['Sutskever, Martens, Dahl and Hinton', 'Sutskever、Martens、Dahl 与 Hinton'],
    ['Hinton and Salakhutdinov', 'Hinton 与 Salakhutdinov'],
  ];
  const zh = () => state.lang === 'zh';
  const comma = () => (zh() ? '，' : ', ');
  const say = (text) => {
    if (typeof text !== 'string') return text ? text[zh() ? 'zh' : 'en'] : '';
    return zh() ? WORDS.reduce((t, [en, zh]) => t.replaceAll(en, zh), text) : text;
  };

  // The tables' files are in the page, compressed; what is not, or where the
  // browser cannot unpack it, is got from beside the page.
  const unpack = async () => {
    const bytes = Uint8Array.from(atob(document.getElementById('files').textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
    return JSON.parse(await new Response(stream).text());
  };
  let files;
  const give = async (link) => {
    const name = link.getAttribute('href').replace('tables/', '');
    files ||= unpack().catch(() => ({}));
    const text = (await files)[name];
    const address = text === undefined ? link.href : URL.createObjectURL(new Blob([text]));
    make('a', { href: address, download: name }).click();
  };
  for (const link of all('a[href^="tables/"]')) {
    link.addEventListener('click', (event) => { event.preventDefault(); give(link); });
  }

  const arms = json(document.getElementById('arms')) || [];
  const label = (arm, or) => say(arms.find(({ name }) => name === arm)?.label || or);

  // What is behind a cell, a row or a point: runs, each by its place (`0-9,12`),
  // and a source that is no run.
  const known = json(document.getElementById('runs'));
  const behind = (text) => (known ? text || '' : '').split(',').filter(Boolean).flatMap((part) => {
    const [first, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => known.runs[first + i]);
  }).filter(Boolean);
  // Where nothing was timed, the file of the times is no source.
  const source = (text) => (known && (text !== 'cost.json' || known.timed) ? text : undefined);
  // Terms with what stands under each; one without anything is left out.
  const list = (...terms) => make('dl', {}, ...terms.filter(([, ...values]) => values.length)
    .flatMap(([term, ...values]) => [make('dt', {}, ...term), ...values.map((value) => make('dd', {}, value))]));
  const code = (text) => make('code', {}, text);
  const file = (path) => make('a', { href: path }, code(path));
  const distinct = (values) => [...new Set(values.filter(Boolean))];
  const ran = (programs) => {
    const day = (program) => (program['commit-date'] ? ` (${program['commit-date']})` : '');
    const commit = (program) => program.commit && program.commit + (program.dirty ? ' +' : '') + day(program);
    const machine = (program) => [program.processor, program.cores && `${program.cores} × CPU`, program.gpu,
      program.platform, program.kernel, program.rustc].filter(Boolean).join(', ');
    return [
      [both('commit', '提交'), ...distinct(programs.map(commit)).map(code)],
      [both('machine', '机器'), ...distinct(programs.map(machine))],
    ];
  };
  // What is the same in all of these settings, part by part.
  const common = (settings) => {
    const [first] = settings, text = JSON.stringify(first);
    if (settings.every((other) => JSON.stringify(other) === text)) return first;
    if (Object(first) !== first || Array.isArray(first)) return undefined;
    return Object.fromEntries(Object.keys(first).map((key) => [key, common(settings.map((other) => other?.[key]))]));
  };
  // All of one run; of several, what they share.
  const about = (runs) => {
    const [run] = runs, alone = runs.length === 1;
    // Left out where it is the usual one.
    const record = run.record === undefined ? `runs/${run.id}.jsonl` : run.record;
    const settings = common(runs.map(({ settings: [protocol, weights, biases] }) => ({
      protocol: known.settings[protocol], weights: known.settings[weights], biases: known.settings[biases],
    })));
    return list(
      ...(alone ? [
        [both('record', '记录'), ...(record ? [file(record)] : [])],
        [both('state', '状态'), say(known.states[run.state])],
        [both('arm', '方法'), say(known.arms[run.arm])],
        [both('protocol', '方案'), say(known.protocols[run.protocol]?.label)],
        [both('seed', '随机种子'), String(run.seed)],
      ] : []),
      ...ran(runs.map(({ environment }) => known.environments[environment] || {})),
      [both('data', '数据'), code(`${known.data.name} SHA-256 ${known.data.sha256}`)],
      [alone ? both('settings', '设置') : both('settings in common', '共同的设置'),
        make('pre', {}, JSON.stringify(settings, null, 1))],
    );
  };
  const origin = (from) => {
    const { environment, rounds, 'data-sha256': data } = (from === 'cost.json' && known.timed) || {};
    return list(
      [both('source', '来源'), from.endsWith('.json') ? file(from) : say(from)],
      ...(environment ? [
        ...ran([environment]),
        [both('rounds of timing', '计时次数'), String(rounds)],
        [both('data', '数据'), code(`SHA-256 ${data}`)],
      ] : []),
    );
  };
  const dialog = known
    && name(document.body.appendChild(make('dialog')), 'What is behind these numbers', '这些数值的依据');
  // What the dialog shows now: ids of runs, and a source.
  let opened = [[]];
  if (dialog) dialog.addEventListener('close', () => { opened = [[]]; });
  const open = (runs, from) => {
    if (!runs.length && !from) return;
    const close = make('button', { type: 'button' }, ...both('Close', '关闭'));
    close.addEventListener('click', () => dialog.close());
    dialog.replaceChildren(close);
    if (from) dialog.append(make('h2', {}, ...both('Source of these numbers', '这些数值的来源')), origin(from));
    if (runs.length) dialog.append(make('h2', {}, ...both('Runs behind these numbers: ', '这些数值所依据的运行：'), String(runs.length)));
    if (runs.length > 1) dialog.append(about(runs));
    dialog.append(...runs.map((run) => {
      const details = make('details', {}, make('summary', {}, code(run.id),
        ` ${say(known.arms[run.arm])}${comma()}${say('seed')} ${run.seed}`));
      details.addEventListener('toggle', () => { if (details.children.length < 2) details.append(about([run])); });
      details.open = runs.length === 1;
      return details;
    }));
    dialog.showModal();
    opened = [runs.map(({ id }) => id), from];
  };
  for (const node of all('td[data-runs], tr[data-runs], td[data-source]')) {
    const [runs, from] = [behind(node.dataset.runs), source(node.dataset.source)];
    const cell = node.localName === 'tr' ? node.cells[0] : node;
    if (!(runs.length || from) || cell.querySelector('button, a')) continue;
    const opener = make('button', { type: 'button', class: 'runs', 'aria-haspopup': 'dialog' }, ...cell.childNodes);
    opener.addEventListener('click', () => open(runs, from));
    cell.append(opener);
  }
  // The first few by name, under the value of a point.
  const ids = (text) => {
    const runs = behind(text), more = runs.length - 2;
    if (!runs.length) return '';
    const first = runs.slice(0, 2).map(({ id }) => id).join(zh() ? '、' : ', ');
    const en = more > 0 ? `${first} and ${more} more` : first;
    return zh() ? `\n运行 ${more > 0 ? `${first}，另有 ${more} 次` : first}` : `\n${runs.length > 1 ? 'runs' : 'run'} ${en}`;
  };

  // Figures. A curve figure has its numbers as JSON, others in the drawing.
  const SVG = 'http://www.w3.org/2000/svg';
  const curves = json(document.getElementById('curves')) || {};
  const figures = all('figure[id]:not(.table)').map((figure) => {
    const plots = all(':scope > .wide, :scope > .narrow', figure);
    const data = curves[figure.id];
    const live = make('div', { class: 'live' });
    if (data) { plots[0].before(live); plots.push(live); }
    const value = make('div', { class: 'value', role: 'status', hidden: '' });
    const spot = make('div', { class: 'spot', hidden: '' });
    // A caption stands last in its figure.
    figure.prepend(spot, value);
    return { figure, plots, data, live, value, spot, points: null, at: -1 };
  });
  const visible = (arm) => !arm || !state.hide.has(arm);
  const short = (v) => String(Number(v.toPrecision(4))).replace('-', '\u2212');

  // Lines through the points of a curve figure, as it is shown now.
  const lines = ({ data }) => data.curves.filter(({ arm }) => visible(arm)).flatMap((curve) => {
    const single = state.curves && curve.seeds.length > 0;
    return single
      ? curve.seeds.map(([seed, y, runs]) => ({ ...curve, y, seed, runs, low: [], high: [] }))
      : [curve];
  });

  const key = ({ arm, label: l }) => arm || JSON.stringify(l);
  const log = (data, low, high) => !state.axis && low > 0 && high / low < 1e30;
  const scale = ([l, t, r, b, x0, x1, low, high], logarithmic) => {
    const f = logarithmic ? Math.log : (v) => v;
    const clamp = (v) => Math.min(Math.max(v, low), high);
    return (x, y) => [
      l + ((r - l) * (x - x0)) / (x1 - x0 || 1),
      b - ((b - t) * (f(clamp(y)) - f(low))) / (f(high) - f(low) || 1),
    ];
  };

  // Every point of a plot: place in the figure, series, text.
  const points = (of) => {
    if (of.points) return of.points;
    const svg = of.plots.map((plot) => plot.querySelector('svg')).find((s) => s && s.getClientRects().length);
    if (!svg) return [];
    const [box, frame] = [svg.getBoundingClientRect(), of.figure.getBoundingClientRect()];
    const unit = box.width / svg.viewBox.baseVal.width;
    const place = ([x, y]) => ({ x: box.left - frame.left + x * unit, y: box.top - frame.top + y * unit });
    const found = [];
    if (of.data) {
      const edges = svg.querySelector('[data-frame]').dataset.frame.split(' ').map(Number);
      const to = scale(edges, !of.figure.classList.contains('linear'));
      lines(of).forEach((line, series) => line.x.forEach((x, i) => {
        if (!Number.isFinite(line.y[i])) return;
        const seed = line.seed === undefined ? '' : `${comma()}${say('seed')} ${line.seed}`;
        const range = line.low.length ? ` (${short(line.low[i])}${say(' to ')}${short(line.high[i])})` : '';
        const text = `${label(line.arm, line.label)}${seed}\n${say(of.data.x)} ${x}${zh() ? '：' : ': '}${short(line.y[i])}${range}`;
        found.push({ ...place(to(x, line.y[i])), series, text, runs: line.runs });
      }));
    } else {
      let arm, series = -1;
      for (const node of all('[data-point]', svg)) {
        const owner = node.closest('[data-arm]')?.dataset.arm;
        if (!visible(owner)) continue;
        if (series < 0 || owner !== arm) series += 1;
        arm = owner;
        const b = node.getBBox();
        const said = node.dataset.point.split(';').map((part) => say(part.replace('=', zh() ? '：' : ': '))).join(comma());
        const { label: en, labelZh } = node.dataset;
        const name = en ? (zh() ? labelZh : en) : owner && label(owner);
        const text = (name ? name + '\n' : '') + said;
        const [, from] = /\bsource=([^;]*)/.exec(node.dataset.point) || [];
        found.push({ ...place([b.x + b.width / 2, b.y + b.height / 2]), series, text, runs: node.dataset.runs, source: source(from) });
      }
    }
    return (of.points = found);
  };

  const show = (of, index) => {
    const point = points(of)[index];
    of.at = point ? index : -1;
    of.value.hidden = of.spot.hidden = !point;
    if (!point) return;
    of.value.textContent = point.text + ids(point.runs);
    for (const node of [of.spot, of.value]) {
      node.style.left = `${point.x}px`;
      node.style.top = `${point.y}px`;
    }
    // Away from the edges of the figure.
    const wide = of.figure.clientWidth;
    of.value.style.left = `${Math.max(0, Math.min(point.x + 10, wide - of.value.offsetWidth))}px`;
    of.value.style.top = `${Math.max(0, point.y - of.value.offsetHeight - 10)}px`;
  };
  const nearest = (of, event) => {
    const frame = of.figure.getBoundingClientRect();
    let [best, least] = [-1, 60];
    points(of).forEach(({ x, y }, i) => {
      const away = Math.hypot(x - event.clientX + frame.left, y - event.clientY + frame.top);
      if (away < least) [best, least] = [i, away];
    });
    return best;
  };
  const step = (of, key) => {
    const found = points(of), at = Math.max(of.at, 0), here = found[at];
    if (!here) return -1;
    const of_series = (series) => found.flatMap((p, i) => (p.series === series ? [i] : []));
    const own = of_series(here.series);
    const beside = (by) => {
      const other = of_series(here.series + by);
      return other.length ? other[Math.min(own.indexOf(at), other.length - 1)] : at;
    };
    switch (key) {
      case 'ArrowRight': return Math.min(at + 1, found.length - 1);
      case 'ArrowLeft': return Math.max(at - 1, 0);
      case 'ArrowDown': return beside(1);
      case 'ArrowUp': return beside(-1);
      case 'Home': return own[0];
      case 'End': return own.at(-1);
      default: return null;
    }
  };
  for (const of of figures) {
    for (const plot of of.plots) {
      if (plot !== of.live && !of.data && !plot.querySelector('[data-point]')) continue;
      plot.tabIndex = 0;
      plot.setAttribute('role', 'group');
      name(plot, 'Values of this figure: arrow keys move from point to point, Enter opens what is behind one',
        '本图数值：用方向键逐点移动，回车键打开其依据');
      const of_point = (index) => [behind(points(of)[index]?.runs), points(of)[index]?.source];
      plot.addEventListener('pointermove', (event) => {
        show(of, nearest(of, event));
        const [runs, from] = of_point(of.at);
        plot.style.cursor = runs.length || from ? 'pointer' : '';
      });
      plot.addEventListener('click', (event) => open(...of_point(nearest(of, event))));
      plot.addEventListener('pointerleave', () => show(of, -1));
      plot.addEventListener('focus', () => { if (plot.matches(':focus-visible')) show(of, Math.max(of.at, 0)); });
      plot.addEventListener('blur', () => show(of, -1));
      plot.addEventListener('keydown', (event) => {
        if (event.altKey || event.ctrlKey || event.metaKey) return;
        if (event.key === 'Enter') {
          // Else the same key presses the dialog's first button.
          event.preventDefault();
          return void open(...of_point(of.at));
        }
        const to = event.key === 'Escape' ? -1 : step(of, event.key);
        if (to === null) return;
        event.preventDefault();
        show(of, to);
      });
    }
  }

  // A curve figure drawn anew: on a linear axis, or with every seed.
  const ticks = (low, high, logarithmic, most) => {
    if (!logarithmic || high < 3 * low) {
      const rough = (high - low) / most, ten = 10 ** Math.floor(Math.log10(rough));
      const by = ten * [1, 2, 5, 10].find((m) => m * ten >= rough);
      const first = Math.ceil(low / by);
      return Array.from({ length: Math.floor(high / by) - first + 1 }, (_, i) => (first + i) * by);
    }
    const from = Math.floor(Math.log10(low)), to = Math.ceil(Math.log10(high));
    const within = (mantissas) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
      .flatMap((e) => mantissas.map((m) => m * 10 ** e)).filter((v) => v >= low && v <= high);
    const fine = [[1, 1.5, 2, 3, 4, 5, 6, 8], [1, 2, 5], [1, 3], [1]].map(within);
    return fine.find((t) => t.length <= most) || fine.at(-1).filter((_, i, t) => i % Math.ceil(t.length / most) === 0);
  };
  const draw = (of) => {
    const { data, figure, live } = of;
    const anew = data && (state.axis || (state.curves && data.curves.some(({ seeds }) => seeds.length)));
    figure.classList.toggle('redrawn', Boolean(anew));
    figure.classList.toggle('linear', Boolean(anew && state.axis));
    if (!anew) return void live.replaceChildren();
    const shown = lines(of);
    const values = shown.flatMap(({ y }) => y).filter((v) => Number.isFinite(v) && (state.axis || v > 0));
    let [low, high] = [Math.min(...values), Math.max(...values)];
    const logarithmic = log(data, low, high);
    if (logarithmic) {
      const room = Math.max((high / low) ** 0.05, 1.05);
      [low, high] = [low / room, high * room];
    } else {
      const room = (high - low || 1) * 0.05;
      [low, high] = [low - room, high + room];
    }
    const named = shown.filter((line, i) => shown.findIndex((l) => key(l) === key(line)) === i);
    // As large as the drawing that it stands in for, so that nothing moves.
    const narrow = matchMedia('(max-width: 40rem)').matches;
    const box = figure.querySelector(narrow ? '.narrow svg' : '.wide svg');
    const [width, height] = ['width', 'height'].map((side) => Number(box.getAttribute(side)));
    const wide = !narrow;
    const names = named.map(({ arm, label: l }) => label(arm, l));
    const room = wide ? Math.min(Math.max(...names.map((n) => [...n].reduce((w, c) => w + (c > '\u2e7f' ? 13 : 7.5), 0))) + 30, width / 2) : 12;
    const [l, t] = [64, wide ? 30 : 34 + 18 * named.length];
    const [r, b] = [width - room, height - 42];
    const xs = shown.flatMap(({ x }) => x);
    const edges = [l, t, r, b, Math.min(...xs), Math.max(...xs), low, high];
    const to = scale(edges, logarithmic);
    const svg = document.createElementNS(SVG, 'svg');
    const add = (tag, attributes, text) => {
      const node = document.createElementNS(SVG, tag);
      for (const [key, v] of Object.entries(attributes)) node.setAttribute(key, v);
      if (text !== undefined) node.textContent = text;
      svg.append(node);
      return node;
    };
    const path = (list) => list.map((p) => p.map((n) => n.toFixed(1)).join()).join(' ');
    for (const [key, v] of Object.entries({ viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'font-size': 13, 'font-family': 'system-ui, sans-serif' })) svg.setAttribute(key, v);
    svg.setAttribute('aria-labelledby', figure.querySelector('svg').getAttribute('aria-labelledby'));
    add('g', { 'data-frame': edges.join(' ') });
    const ink = '#1b1b1b';
    for (const tick of ticks(low, high, logarithmic, 8)) {
      const y = to(edges[4], tick)[1];
      add('path', { d: `M${l} ${y}H${r}`, stroke: ink, opacity: 0.2 });
      add('text', { x: l - 8, y, dy: '0.35em', 'text-anchor': 'end', fill: ink }, short(tick));
    }
    for (const tick of ticks(edges[4], edges[5], false, wide ? 9 : 6).filter(Number.isInteger)) {
      add('text', { x: to(tick, low)[0], y: b + 18, 'text-anchor': 'middle', fill: ink }, tick);
    }
    add('path', { d: `M${l} ${t}V${b}H${r}`, stroke: ink, fill: 'none', opacity: 0.5 });
    add('text', { x: (l + r) / 2, y: b + 38, 'text-anchor': 'middle', fill: ink }, say(data.x));
    add('text', { x: 4, y: t - 14, fill: ink }, say(data.y));
    const ends = new Map();
    for (const line of shown) {
      const at = line.x.map((x, i) => [x, line.y[i]]).filter(([, y]) => Number.isFinite(y)).map(([x, y]) => to(x, y));
      if (line.low.length) {
        const band = [...line.x.map((x, i) => to(x, line.low[i])), ...line.x.map((x, i) => to(x, line.high[i])).reverse()];
        add('polygon', { points: path(band), fill: line.color, opacity: 0.16 });
      }
      const single = line.seed !== undefined;
      const style = { points: path(at), fill: 'none', stroke: line.color, 'stroke-width': single ? 1 : 2, opacity: single ? 0.6 : 1 };
      if (line.dash.length) style['stroke-dasharray'] = line.dash.join(' ');
      add('polyline', style);
      const every = Math.max(Math.ceil(at.length / 8), 1);
      if (!single) at.reverse().filter((_, i) => i % every === 0).forEach((p) => mark(add, line, p));
      const end = single ? at.at(-1) : at[0];
      if (end) ends.set(key(line), [...(ends.get(key(line)) || []), end]);
    }
    // Names at the ends of their lines, a line of text apart; or a key above.
    const placed = named.map((line, i) => {
      const at = ends.get(key(line)) || [[r, b]];
      return { line, text: names[i], x: at[0][0], from: at.reduce((sum, [, y]) => sum + y, 0) / at.length };
    }).sort((a, c) => a.from - c.from);
    placed.forEach((one, i) => { one.y = Math.max(one.from, i ? placed[i - 1].y + 18 : t); });
    placed.reduceRight((floor, one) => { one.y = Math.min(one.y, floor); return one.y - 18; }, b);
    placed.forEach(({ line, text, x, from, y }) => {
      if (wide) {
        add('path', { d: `M${x + 6} ${from}L${x + 18} ${y}`, stroke: ink, opacity: 0.3 });
        add('text', { x: x + 22, y, dy: '0.35em', fill: line.color }, text);
      } else {
        const row = 12 + 18 * named.indexOf(line);
        const style = { points: `4,${row} 38,${row}`, stroke: line.color, 'stroke-width': 2 };
        if (line.dash.length) style['stroke-dasharray'] = line.dash.join(' ');
        add('polyline', style);
        mark(add, line, [21, row]);
        add('text', { x: 42, y: row, dy: '0.35em', fill: line.color }, text);
      }
    });
    live.replaceChildren(svg);
  };
  const mark = (add, { color, mark: [corners, turn] }, [x, y], radius = 4) => {
    if (!corners) return;
    const side = (2 * Math.PI) / corners, reach = radius * Math.sqrt(side / Math.sin(side));
    const corner = (_, i) => {
      const angle = side * i + 2 * Math.PI * turn;
      return [x + reach * Math.sin(angle), y - reach * Math.cos(angle)].map((n) => n.toFixed(1)).join();
    };
    add('polygon', { points: Array.from({ length: corners }, corner).join(' '), fill: color });
  };

  // Everything as the state says.
  const title = document.querySelector('h1');
  const hidden = document.head.appendChild(make('style'));
  const update = () => {
    root.dataset.lang = state.lang;
    root.lang = zh() ? 'zh-Hans' : 'en';
    document.title = (title.querySelector(`[lang="${root.lang}"]`) || title).textContent;
    if (state.theme) root.dataset.theme = state.theme; else delete root.dataset.theme;
    hidden.textContent = arms.filter(({ name }) => !visible(name))
      .map(({ name }) => `[data-arm="${CSS.escape(name)}"]{display:none}`).join('');
    for (const [node, attribute, en, chinese] of named) node.setAttribute(attribute, state.lang === 'zh' ? chinese : en);
    for (const press of pressed) press();
    for (const of of figures) { of.points = null; show(of, -1); draw(of); }
  };
  const change = (by) => { by(); remember(); update(); };
  addEventListener('resize', update);

  // Controls.
  const pressed = [];
  const button = (children, is, press) => {
    const node = make('button', { type: 'button' }, ...children);
    pressed.push(() => node.setAttribute('aria-pressed', is()));
    node.addEventListener('click', () => change(press));
    return node;
  };
  const swatch = (arm) => {
    const svg = document.createElementNS(SVG, 'svg');
    for (const [key, v] of Object.entries({ viewBox: '0 0 34 12', width: 34, height: 12, 'aria-hidden': 'true' })) svg.setAttribute(key, v);
    const add = (tag, attributes) => {
      const node = document.createElementNS(SVG, tag);
      for (const [key, v] of Object.entries(attributes)) node.setAttribute(key, v);
      svg.append(node);
    };
    add('path', { d: 'M0 6H34', stroke: arm.color, 'stroke-width': 2, 'stroke-dasharray': arm.dash.join(' ') });
    mark(add, arm, [17, 6]);
    return svg;
  };
  const bar = name(make('div', { class: 'controls', role: 'group' }), 'What the figures show', '图中显示的内容');
  if (arms.length > 1) {
    bar.append(...arms.map((arm) => button(
      [swatch(arm), ...both(arm.label.en, arm.label.zh)],
      () => !state.hide.has(arm.name),
      () => { state.hide.delete(arm.name) || state.hide.add(arm.name); },
    )));
  }
  const toggle = (key, value, en, zh) => button(both(en, zh), () => state[key] === value,
    () => { state[key] = state[key] === value ? '' : value; });
  if (figures.some(({ data }) => data)) bar.append(toggle('axis', 'linear', 'Linear axis', '线性坐标'));
  if (figures.some(({ data }) => data?.curves.some(({ seeds }) => seeds.length))) {
    bar.append(toggle('curves', 'seeds', 'Each seed', '逐个种子'));
  }
  const systemDark = matchMedia('(prefers-color-scheme: dark)');
  const dark = () => (state.theme || (systemDark.matches ? 'dark' : 'light')) === 'dark';
  systemDark.addEventListener('change', update);
  bar.append(button(both('Dark', '深色'), dark, () => { state.theme = dark() ? 'light' : 'dark'; }));
  const language = make('button', { type: 'button', class: 'language' });
  pressed.push(() => {
    // Tags of their own, which no language hides.
    const [text, lang] = zh() ? ['English', 'en-GB'] : ['中文', 'zh'];
    language.replaceChildren(make('span', { lang }, text));
  });
  language.addEventListener('click', () => change(() => { state.lang = zh() ? 'en' : 'zh'; }));
  bar.append(language);
  document.querySelector('main').prepend(bar);

  // A link to every section, figure and table.
  const link = (id, at, en, zh) => at && at.append(' ', name(make('a', { class: 'here', href: `#${id}` }, '¶'), en, zh));
  for (const section of all('section[id]')) link(section.id, section.querySelector('h2'), 'Link to this section', '本节链接');
  for (const figure of all('figure[id]')) link(figure.id, figure.querySelector('.title'), 'Link to this figure', '本图链接');
  for (const caption of all('figcaption[id]')) link(caption.id, caption, 'Link to this table', '本表链接');
  // What a link names may stand in a closed part.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let node = target; node; node = node.parentElement) if (node.localName === 'details') node.open = true;
    // On a phone the first section has no box of its own.
    if (target) (target.getClientRects().length ? target : target.firstElementChild || target).scrollIntoView();
  };
  addEventListener('hashchange', reveal);
  addEventListener('beforeprint', () => all('details').forEach((node) => { node.open = true; }));

  update();
  reveal();

  // A page that is followed loads anew every few seconds: what its reader has
  // opened stays open, and in sight.
  if (document.querySelector('meta[http-equiv="refresh"]')) {
    const key = `opened ${location.pathname}`;
    const parts = () => all('details').map((node, i) => [node, node.querySelector('[id]')?.id || i]);
    // Some browsers keep nothing for a local file.
    try {
      const [names, [ids, from], top] = JSON.parse(sessionStorage.getItem(key)) || [[], [[]], scrollY];
      open(known.runs.filter(({ id }) => ids.includes(id)), from);
      for (const [node, name] of parts()) if (names.includes(name)) node.open = true;
      scrollTo(0, top);
      addEventListener('pagehide', () => {
        const names = parts().filter(([node]) => node.open).map(([, name]) => name);
        sessionStorage.setItem(key, JSON.stringify([names, opened, scrollY]));
      });
    } catch { }
  }
})();
