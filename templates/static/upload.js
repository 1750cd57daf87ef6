// The uploader. It sends files by tus (https://tus.io), three at a time, and goes on after errors and reloads. Without
// it the page's form sends them.
(() => {
	'use strict';

	const form = document.querySelector('form[data-files]');
	const { files: home, events } = form.dataset;
	const { file: input } = form.elements;
	const atOnce = 3;

	const make = (tag, properties, ...children) => {
		const element = document.createElement(tag);
		element.append(...children);
		return Object.assign(element, properties);
	};
	const button = (label, onclick, ariaLabel) => make('button', { type: 'button', onclick, ariaLabel }, label);

	// Unfinished uploads, by what tells files apart. Who chooses the same file again after a reload goes on.

	const ours = `upload ${home} `;
	let storage = {};
	try {
		storage = localStorage;
	} catch { /* the browser has none */ }
	const remember = (key, path) => {
		delete storage[key];
		try {
			if (path) storage[key] = JSON.stringify({ path, at: Date.now() });
		} catch { /* it is full: after a reload the file begins again */ }
	};
	const remembered = (key) => {
		try {
			const { path, at } = JSON.parse(storage[key]);
			return Date.now() - at < 864e5 && path;
		} catch { /* there is none, or it is damaged */ }
	};
	const unfinished = () => Object.keys(storage).filter((key) => key.startsWith(ours)
		&& (remembered(key) || remember(key))).length;

	// What is shown. Rows are made a few at a time, so that a thousand files keep the page from nothing.

	const said = make('p', { role: 'status', className: 'quiet' });
	const list = make('ul');
	const counts = { all: 0, live: 0, refused: 0, failed: 0 };
	const tasks = [];
	const byID = new Map();
	const known = new Set();
	const rowless = [];
	let paused = false;
	let telling;

	const tell = () => {
		telling = 0;
		const { all, live, refused, failed } = counts;
		const parts = [`${live} of ${all} uploaded`, refused && `${refused} refused`, failed && `${failed} failed`, paused && 'paused'];
		said.textContent = `${parts.filter(Boolean).join(', ')}.`;
		hold.hidden = live + refused + failed === all;
		again.hidden = !failed;
	};
	const tellSoon = () => { telling ||= setTimeout(tell, 300); };

	const sizeOf = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

	const draw = (task) => {
		const { row, state, text, photo, file } = task;
		if (!row || state === 'dropped') return;
		row.bar.value = state === 'live' ? 1 : task.sent / file.size || 0;
		row.bar.hidden = state !== 'waiting' && state !== 'sending';
		row.text.replaceChildren(photo ? make('a', { href: photo }, text) : text);
		row.text.className = state === 'refused' || state === 'failed' ? 'problem' : 'quiet';
		row.drop.hidden = state === 'live' || state === 'refused';
	};

	const addRows = () => {
		for (const task of rowless.splice(0, 20)) {
			const name = task.file.name || 'No name';
			const row = {
				bar: make('progress', { max: 1, ariaLabel: name }), text: make('span'),
				drop: button('Leave out', () => drop(task), `Leave out ${name}`),
			};
			row.line = make('li', { className: 'row' }, make('bdi', {}, name),
				make('span', { className: 'quiet' }, sizeOf(task.file.size)), row.text, row.drop, row.bar);
			if (task.state === 'dropped') continue;
			task.row = row;
			list.append(row.line);
			draw(task);
		}
		if (rowless.length) setTimeout(addRows);
	};

	const become = (task, state, text) => {
		if (task.state === 'dropped') return;
		if (counts[task.state]) counts[task.state]--;
		if (state in counts) counts[state]++;
		Object.assign(task, { state, text });
		draw(task);
		tellSoon();
	};

	const stages = { checked: 'Checked', stored: 'Stored', live: 'See the photo' };

	const forget = ({ key }) => {
		remember(key);
		known.delete(key);
	};

	const end = (task, photo, duplicate) => {
		task.photo = photo;
		become(task, 'live', duplicate ? 'You have this photo already' : stages.live);
		remember(task.key);
	};

	const refuse = (task, problem) => {
		task.photo = '';
		become(task, 'refused', problem || 'The site refuses it.');
		forget(task);
	};

	// Requests.

	class Refused extends Error {}

	const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
	const random = () => [...crypto.getRandomValues(new Uint8Array(16))].join('.');

	// Sends a request. A refusal that will not change is a Refused, what may go better later an Error.
	const send = (task, method, path, headers, body) => new Promise((done, fail) => {
		const request = new XMLHttpRequest();
		task.request = request;
		request.open(method, path);
		Object.entries({ 'Tus-Resumable': '1.0.0', ...headers }).forEach((header) => request.setRequestHeader(...header));
		request.upload.onprogress = ({ loaded }) => {
			if (!body || task.state !== 'sending') return;
			task.sent = task.offset + loaded;
			task.tries = 0;
			become(task, 'sending', `${Math.floor(100 * task.sent / task.file.size)}%`);
		};
		request.onload = () => {
			const { status } = request;
			if (status < 300 || status === 409 || method === 'GET' && status === 404) {
				done({ status, get: (name) => request.getResponseHeader(name) });
				return;
			}
			let problem;
			try {
				({ problem } = JSON.parse(request.responseText));
			} catch { /* of a proxy */ }
			fail([401, 408, 429].includes(status) || status >= 500 ? Error(status) : new Refused(problem));
		};
		request.onerror = request.onabort = () => fail(Error());
		request.send(body);
	});

	// Finds out how far the upload is, or begins one. It returns the path of the photo if there is one already.
	const begin = async (task) => {
		const path = task.path || remembered(task.key);
		let at = path && await send(task, 'GET', path);
		if (at?.status !== 200) {
			task.path = '';
			if (task.state === 'dropped') return '';
			task.attempt ??= random();
			const { name, type, size } = task.file;
			const metadata = [['filename', name], ['filetype', type], ...task.told].map(([key, value]) => `${key} ${base64(value)}`).join();
			at = await send(task, 'POST', home, { 'Upload-Length': size, 'Upload-Metadata': metadata, 'Idempotency-Key': task.attempt });
		}
		task.path = at.get('Location') ?? path;
		byID.set(task.path.split('/').pop(), task);
		if (task.state !== 'dropped') remember(task.key, task.path);
		task.offset = Number(at.get('Upload-Offset'));
		return finished(task, at);
	};

	const finished = (task, answer) => {
		const photo = answer.get('Killr-Photo');
		if (photo) end(task, photo, answer.get('Killr-Duplicate'));
		return photo;
	};

	const upload = async (task) => {
		let ended = await begin(task);
		while (!ended && task.state !== 'dropped') {
			become(task, 'sending', 'Uploading');
			const headers = { 'Upload-Offset': task.offset, 'Content-Type': 'application/offset+octet-stream' };
			const answer = await send(task, 'PATCH', task.path, headers, task.file.slice(task.offset));
			const offset = Number(answer.get('Upload-Offset'));
			ended = finished(task, answer);
			if (!ended && (answer.status === 409 || !(offset > task.offset))) throw Error('offset');
			task.offset = offset;
		}
		if (task.state === 'dropped') leaveOut(task);
	};

	const run = async (task) => {
		become(task, 'sending', 'Beginning');
		try {
			await upload(task);
		} catch (err) {
			if (task.state === 'dropped' || task.state === 'refused') return;
			if (err instanceof Refused) refuse(task, err.message);
			else if (paused) become(task, 'waiting', 'Paused');
			else if (err.message == 401) become(task, 'failed', 'Sign in again in another tab.');
			else if (++task.tries > 8) become(task, 'failed', 'No answer.');
			else {
				become(task, 'waiting', 'Trying again');
				task.after = Date.now() + Math.min(500 * 2 ** task.tries, 30e3) * (.5 + Math.random());
			}
		}
	};

	let running = 0;
	let next;

	const start = () => {
		clearTimeout(next);
		if (paused) return;
		let soonest = Infinity;
		for (const task of tasks) {
			if (running >= atOnce) return;
			if (task.state !== 'waiting') continue;
			const rest = task.after - Date.now();
			if (rest > 0) {
				soonest = Math.min(soonest, rest);
				continue;
			}
			running++;
			run(task).finally(() => { running--; start(); });
		}
		if (soonest < Infinity) next = setTimeout(start, soonest);
	};

	// Ends an upload at the site, if it has begun. If it was a photo already, its row comes back.
	const leaveOut = async (task) => {
		if (!task.path) return;
		const answer = await send({}, 'DELETE', task.path).catch(() => {});
		if (!answer?.get('Killr-Photo')) return;
		task.state = '';
		counts.all++;
		list.append(task.row.line);
		finished(task, answer);
	};

	const drop = (task) => {
		become(task, 'dropped');
		counts.all--;
		forget(task);
		if (task.path) task.request?.abort();
		leaveOut(task);
		tasks.splice(tasks.indexOf(task), 1);
		task.row.line.remove();
		tellSoon();
	};

	const hold = button('Pause', () => {
		paused = !paused;
		hold.textContent = paused ? 'Go on' : 'Pause';
		if (paused) tasks.forEach((task) => task.state === 'sending' && task.request.abort());
		tellSoon();
		start();
	});

	const again = button('Try again', () => {
		tasks.filter((task) => task.state === 'failed').forEach((task) => {
			task.tries = 0;
			become(task, 'waiting', 'Waiting');
		});
		start();
	});

	addEventListener('online', () => {
		tasks.forEach((task) => { task.after = 0; });
		start();
	});

	// Events. What they tell may get lost, and what the answers tell counts anyway.

	let source;

	const listen = () => {
		if (source || !events) return;
		source = new EventSource(events);
		source.onmessage = ({ data }) => {
			const { id, stage, photo, problem } = JSON.parse(data);
			const task = byID.get(id);
			if (!task || stage === 'received') return;
			if (stage === 'refused') refuse(task, problem);
			else if (photo) end(task, `/photo/${photo}`, task.text.startsWith('You'));
			else if (task.state === 'sending') become(task, 'sending', stages[stage]);
		};
		source.onerror = () => {
			if (source.readyState < EventSource.CLOSED) return;
			source = null;
			setTimeout(listen, 30e3);
		};
	};

	const add = async (files) => {
		listen();
		// What the form tells of its files, without these.
		const told = [...new FormData(form)].filter(([name, { at }]) => at && name != 'key');
		let begun = 0; // the browser has been busy with the drop
		for (const file of [...files]) {
			if (performance.now() - begun > 20) {
				await new Promise((done) => { setTimeout(done); });
				begun = performance.now();
			}
			const key = ours + [file.name, file.size, file.lastModified, ...told];
			if (known.has(key)) continue;
			known.add(key);
			const task = { file, key, told, state: 'waiting', text: 'Waiting', sent: 0, tries: 0, after: 0 };
			tasks.push(task);
			rowless.push(task);
			counts.all++;
		}
		addRows();
		tellSoon();
		start();
	};

	// A folder's pictures. Its other files are left out.
	const inFolder = async (entry) => {
		if (entry.isFile) {
			const file = await new Promise((done, fail) => { entry.file(done, fail); });
			return file.type.startsWith('image/') ? [file] : [];
		}
		const found = [];
		const reader = entry.createReader();
		for (;;) {
			const some = await new Promise((done, fail) => { reader.readEntries(done, fail); });
			if (!some.length) return found;
			for (const one of some) found.push(...await inFolder(one));
		}
	};

	form.onsubmit = () => false;
	input.onchange = () => {
		add(input.files);
		input.value = '';
	};
	addEventListener('paste', ({ clipboardData }) => add(clipboardData.files));
	const over = (event) => {
		if (!event.dataTransfer.types.includes('Files')) return;
		event.preventDefault();
		form.classList.toggle('over', event.type === 'dragover');
	};
	addEventListener('dragover', over);
	addEventListener('dragleave', over);
	addEventListener('drop', (event) => {
		over(event);
		const files = [...event.dataTransfer.files];
		// A folder has no type. Chromium takes a millisecond to tell what an item is.
		const entries = files.every(({ type }) => type) ? [] : [...event.dataTransfer.items].filter(({ kind }) => kind === 'file')
			.map((item) => !item.type && item.webkitGetAsEntry?.());
		add(files.filter((file, i) => !entries[i]?.isDirectory));
		entries.filter((entry) => entry?.isDirectory).forEach((entry) => { inFolder(entry).then(add, () => {}); });
	});

	form.querySelectorAll('[data-plain]').forEach((element) => element.remove());
	input.required = false;
	input.closest('p').after(make('div', { className: 'all' }, said, hold, again), list);
	hold.hidden = again.hidden = true;
	const left = unfinished();
	said.textContent = left
		? `${left} unfinished: choose the same files again to go on.`
		: 'Choose, drop or paste photos.';
})();
